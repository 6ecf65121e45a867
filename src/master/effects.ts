/** What is done for each action that the arbiter decides on: a table. Nothing here waits; what comes of it is an event. */
import type { Settings } from '../config/resolved.ts';
import type { Action } from '../core/actions.ts';
import { findWorker, isReady } from '../core/fleet.ts';
import type { Fleet, Worker } from '../core/model.ts';
import { messageOf, PreforkError } from '../errors.ts';
import { masterTitle } from './claims/pidfile.ts';
import { end } from './end.ts';
import type { Parts } from './parts.ts';
import { drawLimits, policyFrom } from './policy.ts';
import { prepareAccessLog } from './service/access-log-file.ts';
import { stopNow } from './stop-now.ts';

type Effects = {
  readonly [T in Action['type']]: (action: Extract<Action, { type: T }>, fleet: Fleet, parts: Parts) => void;
};

const effects: Effects = {
  spawn: (action, fleet, { generations, grants, pool, releases }) => {
    const settings = generations.of(action.generation);
    const isCanary = action.generation > fleet.generation;
    if (action.held === true) grants.restrain(action.id);
    releases.booting(action, settings);
    pool.spawn({ ...action, settings, limits: drawLimits(settings), isCanary });
  },
  place: ({ id, slot }, _, { pool }) => pool.place(id, slot),
  claimLead: ({ claim }, _, { leadership }) => leadership.claim(claim),
  releaseLead: (_, __, { leadership }) => leadership.release(),
  lead: ({ id }, _, { leadership, pool }) => pool.send(id, { type: 'lead' }, leadership.token ?? undefined),
  drain: ({ id, reason, quick, within }, fleet, { dropped: drops, generations, lastCall, pool }) => {
    const settings = generations.of(findWorker(fleet, id)?.generation ?? fleet.generation);
    const { rejectWhileDraining } = settings;
    const how = lingerOf(findWorker(fleet, id), settings);
    const reject = rejectWhileDraining && reason === 'shutdown';
    const staying = fleet.workers.filter(isReady).map((worker) => worker.id);
    const dropped = reason === 'reload' ? drops.begin(id, staying, generations.named) : [];
    const snapshot = reason === 'memory' && settings.heapSnapshots !== null && !isWriting(fleet, id);
    pool.send(id, {
      type: 'drain',
      within,
      ...how,
      quick,
      reject,
      last: lastCall.isLast(id),
      dropped,
      ...(snapshot ? { snapshot } : {}),
    });
    drops.step();
  },
  hasten: ({ id, within }, fleet, { generations, lastCall, pool }) => {
    const worker = findWorker(fleet, id);
    const how = lingerOf(worker, generations.of(worker?.generation ?? fleet.generation));
    pool.send(id, {
      type: 'drain',
      within,
      ...how,
      quick: false,
      reject: false,
      last: lastCall.isLast(id),
      dropped: [],
    });
  },
  kill: ({ id, reason, signal }, fleet, { pool, stuck }) => {
    pool.signal(id, signal);
    // A SIGABRT that has not ended it is followed by a SIGKILL, of the same worker for the same reason.
    if (reason === 'stuck' && signal === 'SIGABRT') void stuck.aborted(id, fleet);
  },
  capture: ({ id, fatal }, fleet, { stuck }) => void stuck.capture(id, fatal, fleet),
  migrate: ({ id, keep, take, atWork, heirs }, { upgrade, workers }, { grants, pool }) => {
    // Another master's workers may serve other addresses: they put back what they cannot serve.
    const takers = workers.filter((worker) => worker.moves.take !== 0).map((worker) => worker.id);
    const listeners = keep === null || upgrade.state === 'ready' ? null : [...grants.keysOf(takers)];
    pool.send(id, { type: 'migrate', keep, take, listeners, atWork, heirs });
  },
  assign: ({ id, queues }, _, { grants }) => grants.assign(id, queues),
  prepare: ({ reload, generation, rollback }, _, { arbiter, claims, generations, log, sockets }) => {
    const restore = { sockets: () => sockets.keep(), claims: () => claims.ensure() };
    generations.prepare(generation, rollback !== null, restore).then(
      (settings) => arbiter.post({ type: 'reloadPrepared', reload, policy: policyFrom(settings) }),
      (error: unknown) => {
        if (!(error instanceof PreforkError)) log.logger.debug({ err: error }, 'reload: preparation failed');
        arbiter.post({ type: 'reloadPrepareFailed', reload, reason: messageOf(error).replaceAll('\n', '; ') });
      },
    );
  },
  try: () => {},
  judge: () => {},
  verify: ({ id, reload, generation }, _, { generations, verification }) =>
    verification.begin(id, reload, generations.of(generation)),
  admit: ({ id }, _, { grants, pool }) => {
    grants.admit(id);
    pool.send(id, { type: 'admit' });
  },
  hold: () => {},
  resize: () => {},
  holdSize: () => {},
  promote: (_, __, parts) => {
    const { current: before } = parts.generations;
    parts.generations.promote();
    putInForce(parts.generations.current, before, parts);
  },
  reject: (_, __, { generations, verification }) => {
    verification.end();
    generations.reject();
  },
  complete: (_, fleet, parts) => {
    void closeUnused(fleet, parts);
    parts.generations.forget(new Set(fleet.workers.map((worker) => worker.generation)));
  },
  halt: () => {},
  declareReady: (_, __, { arbiter, claims, log, onReady }) => {
    // Without the pidfile that was asked for the start has failed, for what waits for it.
    claims.ensure().then(onReady, (error: unknown) => stopNow(error, { logger: () => log.logger, post: arbiter.post }));
  },
  declareStarted: (_, __, { succession }) => succession.ready(),
  reopen: (_, fleet, { generations, log, pool, succession }) => {
    log.reopen();
    succession.reopen();
    try {
      prepareAccessLog(generations.current);
    } catch (error) {
      log.logger.warn(`${messageOf(error)}; the access log goes on where it was`);
    }
    for (const { id } of fleet.workers) pool.send(id, { type: 'reopen' });
  },
  upgrade: (_, __, { succession }) => succession.upgrade(),
  yield: ({ reload }, _, { succession }) => succession.yield(reload),
  handOn: ({ what }, _, { succession }) => succession.handOn(what),
  abandon: ({ reason, quick }, _, { succession }) => succession.abandon(reason, quick),
  unlisten: (_, fleet, { lastCall }) => lastCall.begin(fleet.workers),
  exit: ({ status }, _, parts) => void end(status, parts),
};

/** Whether a worker that began to drain before has a heap snapshot to write: two at a time take twice the memory. */
function isWriting({ workers }: Fleet, id: number): boolean {
  const writers = workers.filter(({ phase }) => phase.name === 'draining' && phase.reason === 'memory');
  const [first] = writers.sort((a, b) => a.phase.since - b.phase.since || a.id - b.id);
  return first !== undefined && first.id !== id;
}

/** Whether somebody waits for a worker that drains, and how long it keeps idle connections open accordingly. */
function lingerOf(
  worker: Worker | undefined,
  { drainLinger, replaceLinger }: Settings,
): { linger: number; awaited: boolean } {
  const awaited = worker?.phase.name !== 'draining' || worker.phase.awaited;
  return { linger: awaited ? drainLinger : replaceLinger, awaited };
}

/** Connects the arbiter: what it decides is done from now on. */
export function connectEffects(parts: Parts): void {
  parts.arbiter.connect({
    act: (action, fleet) => {
      const effect: (action: never, fleet: Fleet, parts: Parts) => void = effects[action.type];
      effect(action as never, fleet, parts);
    },
    onTurn: (fleet) => {
      for (const observer of parts.observers) observer.onTurn(fleet);
    },
  });
}

/** Takes the settings of a new generation that concern the master itself into force. */
function putInForce(settings: Settings, before: Settings, { claims, listeners, log, notifier, sentinel }: Parts): void {
  log.logger.level = settings.logLevel;
  if (settings.errorLog !== before.errorLog) log.reopen(settings.errorLog);
  process.title = masterTitle(settings.name);
  sentinel.setGrace(settings.gracefulTimeout);
  for (const problem of listeners.setRights(settings)) log.logger.warn(problem);
  notifier.use(settings);
  void claims.keep();
}

/** Closes listeners that neither the configuration names nor a worker uses. */
async function closeUnused({ workers }: Fleet, { generations, grants, listeners, sentinel }: Parts): Promise<void> {
  const used = grants.keysOf(workers.filter(({ phase }) => phase.name === 'ready').map(({ id }) => id));
  const { bind, backlog } = generations.current;
  try {
    const wanted = await listeners.openAll(bind, backlog);
    for (const { key } of wanted.listeners) used.add(key);
  } catch {
    // One that the configuration names cannot be opened, and it is not known which others it names.
    return;
  }
  for (const { key } of listeners.all()) if (!used.has(key)) listeners.close(key);
  sentinel.setSockets(listeners.fds());
}
