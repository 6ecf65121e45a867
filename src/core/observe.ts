/** Takes a fact into the fleet. Decides nothing: what follows from a fact is found by `decide`. */
import type { Event } from './events.ts';
import {
  backoff,
  findWorker,
  isCandidate,
  isLive,
  isReady,
  policyOf,
  slotOf,
  wasUnstable,
  withSlot,
  withWorker,
} from './fleet.ts';
import { type FailureKind, type Figures, type Fleet, fixed, type Worker } from './model.ts';
import { byHand, observeDismissed, observeUpgrade } from './observe-upgrade.ts';

/** @returns the fleet as it is known after `event`; facts about a worker that is gone change nothing. */
export function observe(fleet: Fleet, event: Event, now: number): Fleet {
  switch (event.type) {
    case 'workerSpawned':
      return withWorker(fleet, event.id, { pid: event.pid, limits: event.limits, beatAt: now });
    case 'workerListened':
      return withWorker(fleet, event.id, { listening: true });
    case 'workerHindered':
      return withWorker(fleet, event.id, { hindrance: event.reason });
    case 'workerReadied':
      return observeReady(fleet, event.id, now);
    case 'workerBeat':
      return observeBeat(fleet, event.id, event.figures, now);
    case 'workerSpawnFailed':
      return observeGone(fleet, event, now);
    case 'workerExited':
      return observeGone(countCrash(fleet, event.id, event.signal), event, now);
    case 'workerFailed':
      return noteCanaryFailure(countLoadFailure(fleet, event.id, event.kind), event.id, event.reason);
    case 'workerTermed':
      return spend(fleet, event.id, now + fixed.askedGrace, 'signal');
    case 'workerClosed': {
      const phase = findWorker(fleet, event.id)?.phase;
      return phase?.name === 'draining' ? withWorker(fleet, event.id, { phase: { ...phase, accepts: false } }) : fleet;
    }
    case 'stackCaptured': {
      const capture = findWorker(fleet, event.id)?.capture ?? null;
      return capture === null ? fleet : withWorker(fleet, event.id, { capture: { ...capture, done: true } });
    }
    case 'workerMisbehaved':
      return withWorker(fleet, event.id, { offence: event.reason });
    case 'reloadRequested':
      return fleet.stopping === null ? { ...byHand(fleet), reloadPending: true } : fleet;
    case 'reloadPrepared':
      return fleet.reload.state === 'preparing' && fleet.reload.reload === event.reload
        ? {
            ...fleet,
            reload: {
              ...fleet.reload,
              state: 'canary',
              generation: fleet.generation + 1,
              policy: event.policy,
              failure: null,
            },
          }
        : fleet;
    case 'reloadPrepareFailed':
      return fleet.reload.state === 'preparing' && fleet.reload.reload === event.reload
        ? {
            ...fleet,
            reload: {
              ...fleet.reload,
              state: 'canary',
              generation: fleet.generation + 1,
              policy: fleet.policy,
              failure: event.reason,
            },
          }
        : fleet;
    case 'scaleRequested':
      // There is nobody less than nobody: TTOU wakes no one.
      if (fleet.dormant && event.by <= 0) return fleet;
      return resize(fleet, (fleet.dormant ? 0 : fleet.wanted) + event.by);
    case 'resizeRequested':
      return resize(fleet, event.to);
    case 'recycleRequested':
      return {
        ...fleet,
        workers: fleet.workers.map((worker) =>
          event.slot === null || worker.slot === event.slot ? spent(worker, now, 'operator') : worker,
        ),
      };
    case 'poolDismissed':
      return observeDismissed(fleet);
    case 'reopenRequested':
      return { ...fleet, reopen: true };
    case 'stopRequested':
      return observeStop(fleet, event.kind, event.status ?? 0, now);
    case 'upgradeRequested':
    case 'successorSpawned':
    case 'successorReadied':
    case 'successorTook':
    case 'successorStopping':
    case 'successorGone':
    case 'predecessorYielded':
    case 'predecessorStayed':
    case 'predecessorGone':
      return observeUpgrade(fleet, event, now);
    case 'ticked':
      return fleet;
  }
}

function observeReady(fleet: Fleet, id: number, now: number): Fleet {
  const worker = findWorker(fleet, id);
  if (worker === undefined || worker.phase.name !== 'booting') return fleet;
  const ready = withWorker(fleet, id, { phase: { name: 'ready', since: now }, beatAt: now });
  const { reload } = fleet;
  const rolling = reload.state === 'rolling' && reload.generation === worker.generation;
  return {
    ...ready,
    bootFailures: { count: 0, load: 0 },
    reload: rolling ? { ...reload, failures: 0 } : reload,
  };
}

function observeBeat(fleet: Fleet, id: number, figures: Figures, now: number): Fleet {
  const worker = findWorker(fleet, id);
  if (worker === undefined) return fleet;
  const { maxMemory } = policyOf(fleet, worker);
  const over = maxMemory > 0 && figures.rss > maxMemory && now - worker.bornAt >= fixed.memoryMinAge;
  const overMemory = over ? worker.overMemory + 1 : 0;
  const beaten = withWorker(proveSlot(fleet, worker, now), id, { beatAt: now, figures, overMemory });
  if (worker.limits.requests !== null && figures.requests >= worker.limits.requests) {
    return spend(beaten, id, now, 'requests');
  }
  return overMemory >= fixed.memorySamples ? spend(beaten, id, now, 'memory') : beaten;
}

/** A worker that came after the last failure of its slot and stays up has ended the row of them. */
function proveSlot(fleet: Fleet, worker: Worker, now: number): Fleet {
  const { failures, notBefore } = slotOf(fleet, worker.slot);
  const isProof = isReady(worker) && worker.phase.since >= notBefore && !wasUnstable(worker, now);
  return failures > 0 && isProof ? withSlot(fleet, worker.slot, { failures: 0 }) : fleet;
}

function spent(worker: Worker, from: number, reason: NonNullable<Worker['spent']>['reason']): Worker {
  return worker.spent === null ? { ...worker, spent: { reason, from } } : worker;
}

function spend(fleet: Fleet, id: number, from: number, reason: NonNullable<Worker['spent']>['reason']): Fleet {
  return {
    ...fleet,
    workers: fleet.workers.map((worker) => (worker.id === id ? spent(worker, from, reason) : worker)),
  };
}

/** A process is gone, or never was: the slot remembers what its next worker needs to know. */
function observeGone(
  fleet: Fleet,
  event: Extract<Event, { type: 'workerExited' | 'workerSpawnFailed' }>,
  now: number,
): Fleet {
  const worker = findWorker(fleet, event.id);
  if (worker === undefined) return fleet;
  let next: Fleet = { ...fleet, workers: fleet.workers.filter((other) => other !== worker) };
  if (isCandidate(fleet, worker)) return noteCanaryFailure(next, worker.id, demise(event, worker), worker);
  const { failures, restarts } = slotOf(fleet, worker.slot);
  if (!wasUnstable(worker, now)) {
    // Who was told to go, and went or was killed, says nothing of the next; who served well is replaced at once.
    const unasked = isReady(worker) ? { failures: 0, notBefore: now } : {};
    return withSlot(next, worker.slot, { restarts: restarts + 1, ...unasked });
  }
  next = { ...next, bootFailures: { ...next.bootFailures, count: next.bootFailures.count + 1 } };
  if (next.reload.state === 'rolling' && next.reload.generation === worker.generation) {
    next = { ...next, reload: { ...next.reload, failures: next.reload.failures + 1 } };
  }
  // The exit of an older generation's worker never counts against the new one.
  if (worker.generation < fleet.generation) return withSlot(next, worker.slot, { restarts: restarts + 1 });
  return withSlot(next, worker.slot, {
    restarts: restarts + 1,
    failures: failures + 1,
    notBefore: now + backoff(failures + 1, event.jitter),
  });
}

function demise(event: Extract<Event, { type: 'workerExited' | 'workerSpawnFailed' }>, { phase }: Worker): string {
  if (event.type === 'workerSpawnFailed') return `the first new worker could not be forked: ${event.reason}`;
  const how = event.signal === null ? `exited with code ${event.code}` : `was killed by ${event.signal}`;
  return `the first new worker ${how} ${phase.name === 'booting' ? 'before' : 'soon after'} it was ready`;
}

/** Deaths that nobody asked for count against a generation on probation. A SIGKILL is somebody's, or the kernel's. */
function countCrash(fleet: Fleet, id: number, signal: string | null): Fleet {
  const worker = findWorker(fleet, id);
  const { probation } = fleet;
  if (worker === undefined || probation === null || worker.generation !== probation.generation) return fleet;
  if (!isLive(worker) || signal === 'SIGKILL') return fleet;
  return { ...fleet, probation: { ...probation, crashes: probation.crashes + 1 } };
}

/** Tells exit status 4 from 3: only of interest until a worker was ever ready. */
function countLoadFailure(fleet: Fleet, id: number, kind: FailureKind): Fleet {
  if (kind !== 'load' || findWorker(fleet, id) === undefined) return fleet;
  return { ...fleet, bootFailures: { ...fleet.bootFailures, load: fleet.bootFailures.load + 1 } };
}

function noteCanaryFailure(fleet: Fleet, id: number, reason: string, gone?: Worker): Fleet {
  const worker = gone ?? findWorker(fleet, id);
  const { reload } = fleet;
  if (worker === undefined || reload.state !== 'canary' || reload.failure !== null) return fleet;
  return isCandidate(fleet, worker) ? { ...fleet, reload: { ...reload, failure: reason } } : fleet;
}

function resize(fleet: Fleet, to: number): Fleet {
  if (fleet.stopping !== null) return fleet;
  const wanted = Math.max(1, Math.min(fleet.policy.maxWorkers, to));
  return { ...byHand(fleet), wanted, dormant: false };
}

/** The first request sets the deadline; a further one while stopping makes the stop quick. */
function observeStop(fleet: Fleet, kind: 'graceful' | 'quick', status: number, now: number): Fleet {
  const { stopping } = fleet;
  if (stopping === null) {
    const within = kind === 'quick' ? quickStop(fleet) : fleet.policy.gracefulTimeout;
    const acceptUntil = kind === 'quick' || fleet.workers.length === 0 ? now : now + fleet.policy.drainDelay;
    const deadline = acceptUntil + within;
    return { ...fleet, reloadPending: false, stopping: { kind, deadline, listening: true, acceptUntil, status } };
  }
  if (stopping.kind === 'quick') return fleet;
  const deadline = Math.min(stopping.deadline, now + quickStop(fleet));
  return { ...fleet, stopping: { ...stopping, kind: 'quick', acceptUntil: now, deadline } };
}

function quickStop(fleet: Fleet): number {
  return Math.min(fixed.quickStop, fleet.policy.gracefulTimeout);
}
