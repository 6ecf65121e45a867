/**
 * Tells what happens as log lines. Every line of a worker's life carries slot, worker id, generation and pid; durations
 * are in the message for people and in fields (milliseconds) for machines.
 */
import type { Action } from '../../core/actions.ts';
import type { Event } from '../../core/events.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, KillReason, Phase, RetireReason, Worker } from '../../core/model.ts';
import { dismissal, narrateAbandon, narrateUpgrade } from './narrate-upgrade.ts';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const retireReasons: Readonly<Record<RetireReason, string>> = {
  reload: 'it is of an older generation',
  requests: 'maxRequests reached',
  memory: 'maxMemory exceeded',
  lifetime: 'maxLifetime reached',
  signal: 'it was sent SIGTERM',
  operator: 'an operator asked for it',
  scale: 'the pool is smaller now',
  upgrade: 'a new master serves',
  shutdown: 'the service is stopping',
};

const killReasons: Readonly<Record<KillReason, string>> = {
  'boot-timeout': 'boot timeout: the app did not listen within bootTimeout, or its health checks do not pass',
  stuck: 'stuck: no heartbeat within timeout',
  'drain-timeout': 'it did not leave within gracefulTimeout',
  shutdown: 'not needed any more',
  'reload-rejected': 'its reload was rejected',
  misbehaved: 'it broke the protocol',
};

/** The line for a fact, told with what was known before it. */
export function narrateEvent(event: Event, before: Fleet, now: number): Line | null {
  switch (event.type) {
    case 'workerSpawned':
      return workerLine('info', 'worker spawned', before, event.id, { pid: event.pid });
    case 'workerSpawnFailed':
      return workerLine('error', `worker could not be spawned: ${event.reason}`, before, event.id, {});
    case 'workerReadied': {
      const worker = findWorker(before, event.id);
      if (worker === undefined || worker.phase.name !== 'booting') return null;
      const bootMs = Math.round(now - worker.bornAt);
      return workerLine('info', `worker ready in ${seconds(bootMs)}`, before, event.id, { bootMs });
    }
    case 'workerExited':
      return narrateExit(event, before, now);
    case 'workerHindered': {
      const worker = findWorker(before, event.id);
      if (worker === undefined || event.reason === null) return null;
      const what = worker.phase.name === 'booting' ? 'worker is not ready yet' : 'worker is not well';
      return workerLine('warn', `${what}: ${event.reason}`, before, event.id, {});
    }
    case 'workerTermed':
      // The master was told as well: the whole group was signalled.
      if (before.stopping !== null) return null;
      return workerLine('info', 'worker was sent SIGTERM, its replacement comes first', before, event.id, {});
    case 'workerMisbehaved':
      return workerLine('error', `worker broke the protocol: ${event.reason}`, before, event.id, {});
    case 'reloadRequested':
      if (before.stopping !== null) return line('warn', 'reload ignored: the service is stopping', {});
      return before.reload.state === 'idle'
        ? null
        : line('info', 'reload remembered: it runs after the one under way', {});
    case 'scaleRequested':
    case 'resizeRequested':
      return narrateResize(event, before);
    case 'poolDismissed':
      return line('info', dismissal(before), {});
    case 'upgradeRequested':
    case 'successorSpawned':
    case 'successorReadied':
    case 'successorTook':
    case 'successorStopping':
    case 'successorGone':
    case 'predecessorYielded':
    case 'predecessorStayed':
    case 'predecessorGone':
      return narrateUpgrade(event, before);
    case 'stopRequested':
      if (before.stopping === null) return narrateStop(event.kind, before);
      return before.stopping.kind === 'graceful' ? line('warn', 'stopping now (asked a second time)', {}) : null;
    default:
      return null;
  }
}

function narrateStop(kind: 'graceful' | 'quick', { policy, workers }: Fleet): Line {
  const isDelayed = kind === 'graceful' && policy.drainDelay > 0 && workers.length > 0;
  const delay = isDelayed ? `; readiness says 503, and accepting goes on for ${seconds(policy.drainDelay)}` : '';
  return line('info', `stopping (${kind})${delay}`, { workers: workers.length });
}

function narrateResize(
  event: Extract<Event, { type: 'scaleRequested' | 'resizeRequested' }>,
  before: Fleet,
): Line | null {
  if (before.stopping !== null) return null;
  const from = before.dormant ? 0 : before.wanted;
  const asked = event.type === 'scaleRequested' ? from + event.by : event.to;
  const { maxWorkers } = before.policy;
  if (asked < 1) return line('warn', `workers stay at ${from}: there is never less than one`, { workers: from });
  if (asked > maxWorkers)
    return line('warn', `workers stay at ${from}: maxWorkers is ${maxWorkers}`, { workers: from });
  return line('info', `workers: ${from} -> ${asked}`, { workers: asked });
}

function narrateExit(event: Extract<Event, { type: 'workerExited' }>, before: Fleet, now: number): Line | null {
  const worker = findWorker(before, event.id);
  if (worker === undefined) return null;
  const how = event.signal === null ? `code ${event.code}` : event.signal;
  const fields = { code: event.code, signal: event.signal, lifeMs: Math.round(now - worker.bornAt) };
  const { phase } = worker;
  if (phase.name === 'draining') {
    const drainMs = Math.round(now - phase.since);
    const odd = event.signal !== null || (event.code ?? 0) !== 0;
    return workerLine(
      odd ? 'warn' : 'info',
      `worker left after ${seconds(drainMs)} of drain (${how})`,
      before,
      event.id,
      {
        ...fields,
        drainMs,
      },
    );
  }
  if (phase.name === 'killed') return workerLine('info', `worker is gone (${how})`, before, event.id, fields);
  const hint = event.signal === 'SIGKILL' ? '; if nobody sent it, the kernel was out of memory' : '';
  return workerLine('error', `worker exited unasked (${how}) ${exitContext(phase)}${hint}`, before, event.id, fields);
}

function exitContext(phase: Phase): string {
  return phase.name === 'booting' ? 'before it was ready' : 'while it served';
}

/** The line for a decision, told with what was known when it was taken. */
export function narrateAction(action: Action, fleet: Fleet): Line | null {
  switch (action.type) {
    case 'drain':
      return workerLine('info', `worker retires: ${retireReasons[action.reason]}`, fleet, action.id, {
        reason: action.reason,
      });
    case 'kill': {
      const level = action.reason === 'shutdown' || action.reason === 'reload-rejected' ? 'info' : 'error';
      return workerLine(level, `worker gets ${action.signal}: ${killReasons[action.reason]}`, fleet, action.id, {
        reason: action.reason,
        signal: action.signal,
      });
    }
    case 'prepare':
      return action.rollback === null
        ? line('info', `reload ${action.reload} started`, { reload: action.reload })
        : line('error', `rolling back to the previous release: ${action.rollback}`, { reload: action.reload });
    case 'promote':
      return line(
        'info',
        `reload ${action.reload}: the first worker of generation ${action.generation} is good, the rest follow`,
        {
          reload: action.reload,
          generation: action.generation,
        },
      );
    case 'reject':
      return line('error', `reload ${action.reload} failed, nothing was changed: ${action.reason}`, {
        reload: action.reload,
        durationMs: Math.round(action.duration),
      });
    case 'complete':
      return line(
        'info',
        `reload ${action.reload} done in ${seconds(action.duration)}: generation ${action.generation} serves`,
        {
          reload: action.reload,
          generation: action.generation,
          durationMs: Math.round(action.duration),
        },
      );
    case 'halt':
      return line(
        'error',
        `reload ${action.reload} stopped half way, the remaining old workers stay: ${action.reason}`,
        {
          reload: action.reload,
          durationMs: Math.round(action.duration),
        },
      );
    case 'declareStarted':
      return line('info', `ready: ${action.workers} workers serve`, { workers: action.workers });
    case 'abandon':
      return narrateAbandon(action);
    case 'reopen':
      return line('info', 'log files reopened', {});
    case 'exit':
      return action.reason === null
        ? line('info', 'stopped', { status: action.status })
        : line('fatal', `giving up: ${action.reason}`, { status: action.status });
    default:
      return null;
  }
}

function line(level: Line['level'], message: string, fields: Line['fields']): Line {
  return { level, message, fields };
}

function workerLine(level: Line['level'], message: string, fleet: Fleet, id: number, fields: Line['fields']): Line {
  return line(level, message, { ...workerFields(findWorker(fleet, id)), worker: id, ...fields });
}

/** What every line about a worker carries. */
export function workerFields(worker: Worker | undefined): Line['fields'] {
  return worker === undefined
    ? {}
    : { slot: worker.slot, worker: worker.id, generation: worker.generation, pid: worker.pid };
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(2)} s`;
}
