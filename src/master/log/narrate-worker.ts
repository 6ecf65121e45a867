/** What the log says of a single worker: which one it is, and what becomes of it. */
import type { WorkerEvent } from '../../core/events.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, KillReason, PlaceReason, RetireReason } from '../../core/model.ts';
import { type ActionLines, type EventLines, seconds, workerLine } from './line.ts';
import { narrateExit } from './narrate-exit.ts';

const retireReasons: Readonly<Record<RetireReason, string>> = {
  reload: 'it is of an older generation',
  requests: 'maxRequests reached',
  memory: 'maxMemory exceeded',
  lifetime: 'maxLifetime reached',
  signal: 'it was sent SIGTERM',
  operator: 'an operator asked for it',
  scale: 'the pool is smaller now',
  upgrade: 'a new master serves',
  address: 'a socket that it listens on was removed by somebody, and is there anew',
  'boot-timeout': 'boot timeout: it has sockets, but is not ready within bootTimeout (see its health checks)',
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

export const workerEvents: EventLines<WorkerEvent['type']> = {
  workerSpawned: ({ id, pid }, before) => workerLine('info', `${kindOf(before, id)} spawned`, before, id, { pid }),
  workerSpawnFailed: ({ id, reason }, before) =>
    workerLine('error', `${kindOf(before, id)} could not be spawned: ${reason}`, before, id),
  workerListened: null,
  workerHindered: ({ id, reason }, before) => {
    const worker = findWorker(before, id);
    if (worker === undefined || reason === null) return null;
    const isBooting = worker.phase.name === 'booting' || worker.phase.name === 'joining';
    const what = `${kindOf(before, id)} ${isBooting ? 'is not ready yet' : 'is unhealthy'}`;
    return workerLine('warn', `${what}: ${reason}`, before, id);
  },
  workerBooted: ({ id }, before, now) => {
    const worker = findWorker(before, id);
    if (worker?.slot !== null || worker.phase.name !== 'booting') return null;
    const bootMs = Math.round(now - worker.bornAt);
    return workerLine('info', `spare ready in ${seconds(bootMs)}`, before, id, { bootMs });
  },
  workerReadied: ({ id }, before, now) => {
    const worker = findWorker(before, id);
    if (worker === undefined || worker.slot === null) return null;
    if (worker.phase.name === 'joining') {
      const joinMs = Math.round(now - worker.phase.since);
      return workerLine('info', `worker ready ${joinMs} ms after it was given its slot`, before, id, { joinMs });
    }
    if (worker.phase.name !== 'booting') return null;
    const bootMs = Math.round(now - worker.bornAt);
    return workerLine('info', `worker ready in ${seconds(bootMs)}`, before, id, { bootMs });
  },
  workerBeat: null,
  // The worker's own words are in the log already.
  workerFailed: null,
  workerExited: narrateExit,
  workerClosed: null,
  workerTermed: ({ id }, before) =>
    // While the service stops, the signal went to the whole process group, the master included.
    before.stopping === null
      ? workerLine(
          'info',
          `${kindOf(before, id)} was sent SIGTERM: it leaves when its replacement is ready`,
          before,
          id,
        )
      : null,
  workerCandidate: null,
  workerResigned: ({ id, reason }, before) => {
    if (before.leadership.leader?.id !== id) return null;
    return reason === null
      ? workerLine('debug', 'worker leads no more', before, id)
      : workerLine('warn', `worker leads no more: the work of onLeader failed: ${reason}`, before, id);
  },
  stackCaptured: null,
  workerExcused: ({ id, within }, before) =>
    within === 0
      ? null
      : workerLine('info', `${kindOf(before, id)} stops for a heap snapshot; others serve meanwhile`, before, id),
  workerMisbehaved: ({ id, reason }, before) =>
    workerLine('error', `${kindOf(before, id)} broke the protocol: ${reason}`, before, id),
};

const placeReasons: Readonly<Record<PlaceReason, string>> = {
  gone: 'takes the place of the worker that is gone',
  scale: 'takes the new place',
  recycle: 'takes over from the worker that is to be replaced',
};

export const workerActions: ActionLines<
  'spawn' | 'place' | 'drain' | 'hasten' | 'kill' | 'capture' | 'assign' | 'migrate' | 'lead'
> = {
  // The event says so, with the pid.
  spawn: null,
  place: ({ id, reason }, fleet) =>
    workerLine('info', `a spare (pid ${findWorker(fleet, id)?.pid ?? 'unknown'}) ${placeReasons[reason]}`, fleet, id, {
      reason,
    }),
  drain: ({ id, reason }, fleet) => {
    const level = reason === 'boot-timeout' ? 'error' : 'info';
    const isSpare = findWorker(fleet, id)?.slot === null;
    const why = isSpare && reason === 'scale' ? 'no spares are wanted now' : retireReasons[reason];
    return workerLine(level, `${kindOf(fleet, id)} retires: ${why}`, fleet, id, { reason });
  },
  // Its end says so.
  hasten: null,
  kill: ({ id, reason, signal }, fleet) => {
    const level = reason === 'shutdown' || reason === 'reload-rejected' ? 'info' : 'error';
    return workerLine(level, `${kindOf(fleet, id)} gets ${signal}: ${killReasons[reason]}`, fleet, id, {
      reason,
      signal,
    });
  },
  // The stack that is captured says so.
  capture: null,
  assign: null,
  migrate: null,
  lead: ({ id }, fleet) => workerLine('info', 'worker leads: it runs what the app gave to onLeader', fleet, id),
};

function kindOf(fleet: Fleet, id: number): 'worker' | 'spare' {
  return findWorker(fleet, id)?.slot === null ? 'spare' : 'worker';
}
