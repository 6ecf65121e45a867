/** What is heard of workers, from their processes and from themselves: a table of what comes of each. */
import type { Event } from '../core/events.ts';
import { findWorker } from '../core/fleet.ts';
import type { Worker } from '../core/model.ts';
import { errorText } from '../protocol/error-text.ts';
import type { WorkerMessage } from '../protocol/messages.ts';
import type { Parts } from './parts.ts';
import { reportSlow } from './workers/slow-requests.ts';

type Message<T extends WorkerMessage['type']> = Extract<WorkerMessage, { type: T }>;

/** From a message of a worker to the event that it is for the arbiter; `null` if it is none. */
type Reports = {
  readonly [T in WorkerMessage['type']]: (message: Message<T>, worker: Worker, parts: Parts) => Event | null;
};

const reports: Reports = {
  listen: (message, { id, slot, generation }, { grants, generations, listeners, sentinel }) => {
    const settings = generations.of(generation);
    if (slot === null) {
      grants.hold(id, message, settings);
      return null;
    }
    const answered = grants.answer(id, message, settings);
    void answered.finally(() => sentinel.setSockets(listeners.fds()));
    return null;
  },
  unlisten: ({ listener }, { id, phase }, { dropped, grants, lastCall }) => {
    grants.unlisten(id, listener, phase.name === 'booting' || phase.name === 'ready');
    lastCall.step();
    dropped.step();
    return grants.accepts(id) ? null : { type: 'workerClosed', id };
  },
  bind: (message, { id, generation }, { datagrams, generations }) => {
    datagrams.answer(id, message, generations.of(generation));
    return null;
  },
  unbind: ({ seq }, { id }, { datagrams }) => {
    datagrams.unbind(id, seq);
    return null;
  },
  unheard: (_, worker, { complaints }) => {
    complaints.reportUnheard(worker);
    return null;
  },
  booted: (_, worker, { generations, releases }) => {
    releases.booting(worker, generations.of(worker.generation));
    return { type: 'workerBooted', id: worker.id };
  },
  ready: ({ addresses }, worker, { generations, grants, releases, verification }) => {
    const { id, held } = worker;
    if (held && addresses !== undefined) verification.onReady(id, addresses);
    grants.readied(id);
    // Files may have changed while it booted.
    releases.booting(worker, generations.of(worker.generation));
    return { type: 'workerReadied', id };
  },
  candidate: (_, { id }) => ({ type: 'workerCandidate', id }),
  resigned: ({ reason }, { id }) => ({ type: 'workerResigned', id, reason, jitter: Math.random() }),
  beat: (message, { id }, { rates, refusals, deaths }) => {
    const { figures } = message;
    deaths.onBeat(id, message);
    rates.onBeat(id, figures.requests, figures.clock);
    refusals.onBeat(id, figures.rejected, figures.clock);
    return { type: 'workerBeat', id, figures };
  },
  traffic: ({ delta }, worker, { generationTraffic, metrics }) => {
    metrics.onTraffic(delta, worker.id);
    return generationTraffic.onTraffic(delta, worker);
  },
  'app-metrics': (message, { id }, { metrics }) => {
    metrics.onAppMetrics(id, message.metrics);
    return null;
  },
  failed: ({ kind, error }, worker, { complaints, deaths }) => {
    deaths.onFailed(worker.id, error);
    complaints.report(worker, error);
    return { type: 'workerFailed', id: worker.id, kind, reason: errorText(error) };
  },
  health: ({ checks }, { id, hindrance }, { arbiter, health }) => {
    const reason = health.onChecks(id, checks);
    if (reason !== hindrance) return { type: 'workerHindered', id, reason };
    health.spread(arbiter.fleet);
    return null;
  },
  'log-trouble': (message, worker, { complaints }) => {
    complaints.reportLogTrouble(worker, message);
    return null;
  },
  short: (message, worker, { complaints }) => {
    complaints.reportShortage(worker, message);
    return null;
  },
  stack: (message, { id }, { stuck, deaths }) => {
    deaths.onStack(id, message);
    stuck.onStack(id, message);
    return null;
  },
  slow: (message, worker, { log }) => {
    reportSlow(worker, message, log.logger);
    return null;
  },
  requests: (message, { id }, { inside }) => {
    inside.inFlight.onMessage(id, message);
    return null;
  },
  mute: (_, { id }, { stuck }) => {
    stuck.onMute(id);
    return null;
  },
  migrated: ({ delta }, _, { migration }) => {
    migration.add(delta);
    return null;
  },
  'session-missed': (_, worker, { arbiter, complaints }) => {
    // A single worker knows all sessions but those of the worker before it.
    if (arbiter.fleet.wanted > 1) complaints.reportMissedSession(worker);
    return null;
  },
  termed: (_, { id }) => ({ type: 'workerTermed', id }),
  draining: (message, worker, { complaints }) => {
    complaints.reportDraining(worker, message);
    return null;
  },
  drained: (message, worker, { complaints, deaths }) => {
    deaths.onDrained(worker.id);
    complaints.reportDrained(worker, message);
    return { type: 'workerClosed', id: worker.id };
  },
  dying: (message, { id }, { deaths }) => {
    deaths.onDying(id, message);
    return null;
  },
  snapshot: (message, worker, { snapshots }) => {
    snapshots.report(worker, message);
    return null;
  },
};

/** From an event of the pool to what is done before the arbiter hears of it. */
const processes: {
  readonly [T in Event['type']]?: (event: Extract<Event, { type: T }>, parts: Parts) => void;
} = {
  workerSpawned: ({ pid }, { sentinel }) => sentinel.add(pid),
  workerSpawnFailed: ({ id }, parts) => forget(id, parts),
  workerExited: ({ id }, parts) => forget(id, parts),
};

/** Connects the pool: what it hears is reported from now on. */
export function connectReports(parts: Parts): void {
  const { restraint, arbiter, deaths, log, pool } = parts;
  pool.connect({
    onEvent: (heard) => {
      const event = heard.type === 'workerExited' ? deaths.explain(heard, findWorker(arbiter.fleet, heard.id)) : heard;
      const before: ((event: never, parts: Parts) => void) | undefined = processes[event.type];
      before?.(event as never, parts);
      arbiter.post(event);
    },
    onMessage: (id, message) => {
      const worker = findWorker(arbiter.fleet, id);
      if (worker === undefined) return;
      const taken = restraint.take(id, message.type);
      if (taken === 'exceeded')
        arbiter.post({ type: 'workerMisbehaved', id, reason: `too many messages of type ${message.type}` });
      if (taken !== 'taken') return;
      const report: (message: never, worker: Worker, parts: Parts) => Event | null = reports[message.type];
      const event = report(message as never, worker, parts);
      if (event !== null) arbiter.post(event);
    },
    onOutput: ({ stream, ...from }, line) => {
      if (stream === 'stderr') deaths.onPrinted(from.worker, line);
      log.logger[stream === 'stderr' ? 'warn' : 'info']({ ...from, stream }, line);
    },
  });
}

/** The process is gone, or never was. */
function forget(id: number, parts: Parts): void {
  const { arbiter, sentinel, dropped, lastCall } = parts;
  const { deaths, restraint, grants, datagrams, inside, health, rates, refusals, metrics, stuck, verification } = parts;
  const pid = findWorker(arbiter.fleet, id)?.pid;
  if (pid !== undefined && pid !== null) sentinel.delete(pid);
  for (const part of [
    deaths,
    grants,
    datagrams,
    health,
    rates,
    refusals,
    metrics,
    restraint,
    stuck,
    inside,
    verification,
  ])
    part.forget(id);
  lastCall.step();
  dropped.step();
}
