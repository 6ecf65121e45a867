/** Takes in what happens to a worker, or what it says. */
import type { EventOf, WorkerEvent } from './events.ts';
import { fixed } from './fixed.ts';
import {
  backoff,
  findWorker,
  isCandidate,
  isLive,
  isReady,
  policyOf,
  slotOf,
  spent,
  wasUnstable,
  withChanged,
  withSlot,
  withWorker,
} from './fleet.ts';
import type { FailureKind, Figures, Fleet, RetireReason, Worker } from './model.ts';
import { observeResigned, withoutLeader } from './observe-lead.ts';
import { refused } from './outcomes.ts';

export function observeWorker(fleet: Fleet, event: WorkerEvent, now: number): Fleet {
  switch (event.type) {
    case 'workerSpawned':
      return withWorker(fleet, event.id, { pid: event.pid, limits: event.limits, beatAt: now });
    case 'workerListened':
      // A spare has no sockets.
      return findWorker(fleet, event.id)?.slot === null ? fleet : withWorker(fleet, event.id, { listening: true });
    case 'workerHindered':
      return withWorker(fleet, event.id, { hindrance: event.reason });
    case 'workerBooted':
      return observeBooted(fleet, event.id, now);
    case 'workerReadied':
      return observeReady(fleet, event.id, now);
    case 'workerBeat':
      return observeBeat(fleet, event.id, event.figures, now);
    case 'workerSpawnFailed':
      return observeGone(fleet, event, now);
    case 'workerExited':
      return observeGone(countCrash(fleet, event.id, event.signal), event, now);
    case 'workerFailed':
      return refuseCanary(countLoadFailure(fleet, event.id, event.kind), event.id, event.reason);
    case 'workerTermed':
      return spend(fleet, event.id, now + fixed.askedGrace, 'signal');
    case 'workerClosed': {
      const phase = findWorker(fleet, event.id)?.phase;
      return phase?.name === 'draining' ? withWorker(fleet, event.id, { phase: { ...phase, accepts: false } }) : fleet;
    }
    case 'workerCandidate':
      return withWorker(fleet, event.id, { candidate: true });
    case 'workerResigned':
      return observeResigned(fleet, event, now);
    case 'stackCaptured': {
      const capture = findWorker(fleet, event.id)?.capture ?? null;
      return capture === null ? fleet : withWorker(fleet, event.id, { capture: { ...capture, done: true } });
    }
    case 'workerExcused':
      return withWorker(fleet, event.id, { excusedUntil: now + event.within });
    case 'workerMisbehaved':
      return withWorker(fleet, event.id, { offence: event.reason });
  }
}

function observeReady(fleet: Fleet, id: number, now: number): Fleet {
  const worker = findWorker(fleet, id);
  // A spare is ready when it has been placed, and not before, whatever it says.
  if (worker === undefined || worker.slot === null) return fleet;
  if (worker.phase.name !== 'booting' && worker.phase.name !== 'joining') return fleet;
  const ready = withChanged(fleet, { ...worker, phase: { name: 'ready', since: now }, beatAt: now });
  const { reload } = fleet;
  const rolling = reload.state === 'rolling' && reload.generation === worker.generation;
  return {
    ...ready,
    bootFailures: { count: 0, load: 0 },
    reload: rolling ? { ...reload, failures: 0 } : reload,
  };
}

function observeBooted(fleet: Fleet, id: number, now: number): Fleet {
  const worker = findWorker(fleet, id);
  if (worker?.slot !== null || worker.phase.name !== 'booting') return fleet;
  return withChanged(fleet, { ...worker, phase: { name: 'spare', since: now }, beatAt: now });
}

function observeBeat(fleet: Fleet, id: number, figures: Figures, now: number): Fleet {
  const worker = findWorker(fleet, id);
  if (worker === undefined) return fleet;
  const { maxMemory } = policyOf(fleet, worker);
  const over = maxMemory > 0 && figures.rss > maxMemory && now - worker.bornAt >= fixed.memoryMinAge;
  const overMemory = over ? worker.overMemory + 1 : 0;
  const busy = fleet.policy.autoscale === null ? 0 : smoothed(worker, figures.loopUtilisation ?? 0);
  const beaten = withWorker(proveSlot(fleet, worker, now), id, { beatAt: now, figures, overMemory, busy });
  if (worker.limits.requests !== null && figures.requests >= worker.limits.requests) {
    return spend(beaten, id, now, 'requests');
  }
  return overMemory >= fixed.memorySamples ? spend(beaten, id, now, 'memory') : beaten;
}

/** A moving average over a few seconds of heartbeats: one busy moment is no load. */
function smoothed({ busy, figures }: Worker, latest: number): number {
  return figures === null ? latest : busy + (latest - busy) * fixed.scaleSmoothing;
}

/** A worker that came after the last failure of its slot, and stays up, ends the series of failures. */
function proveSlot(fleet: Fleet, worker: Worker, now: number): Fleet {
  if (worker.slot === null) return proveSpares(fleet, worker, now);
  const { failures, notBefore } = slotOf(fleet, worker.slot);
  const isProof = isReady(worker) && worker.phase.since >= notBefore && !wasUnstable(worker, now);
  return failures > 0 && isProof ? withSlot(fleet, worker.slot, { failures: 0 }) : fleet;
}

function proveSpares(fleet: Fleet, worker: Worker, now: number): Fleet {
  if (fleet.spareBoots.failures === 0 || worker.phase.name !== 'spare' || wasUnstable(worker, now)) return fleet;
  return { ...fleet, spareBoots: { ...fleet.spareBoots, failures: 0 } };
}

function spend(fleet: Fleet, id: number, from: number, reason: RetireReason): Fleet {
  return {
    ...fleet,
    workers: fleet.workers.map((worker) => (worker.id === id ? spent(worker, from, reason) : worker)),
  };
}

/** A process is gone, or never was: the slot remembers what decides about its next worker. */
function observeGone(fleet: Fleet, event: EventOf<'workerExited' | 'workerSpawnFailed'>, now: number): Fleet {
  const worker = findWorker(fleet, event.id);
  if (worker === undefined) return fleet;
  const led = withoutLeader(fleet, worker, event.jitter, now);
  let next: Fleet = { ...led, workers: fleet.workers.filter((other) => other !== worker) };
  if (worker.slot === null) return observeSpareGone(next, worker, event.jitter, now);
  if (isCandidate(fleet, worker)) return refuseCanary(next, worker.id, demise(event, worker), worker);
  const { failures, restarts } = slotOf(fleet, worker.slot);
  if (!wasUnstable(worker, now)) {
    // A worker that was told to go says nothing about the next one; one that served well is replaced at once.
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

/**
 * Whatever becomes of a spare, it has served nobody: it says nothing about a slot, nor about a generation whose workers
 * serve well. The next one waits if this one's life was short.
 */
function observeSpareGone(fleet: Fleet, worker: Worker, jitter: number, now: number): Fleet {
  const { failures } = fleet.spareBoots;
  // One of an older generation, or one that was told to go, says nothing about the next.
  if (worker.generation < fleet.generation) return fleet;
  if (!wasUnstable(worker, now)) return fleet;
  return { ...fleet, spareBoots: { failures: failures + 1, notBefore: now + backoff(failures + 1, jitter) } };
}

function demise(event: EventOf<'workerExited' | 'workerSpawnFailed'>, { phase }: Worker): string {
  if (event.type === 'workerSpawnFailed') return `the first new worker could not be forked: ${event.reason}`;
  const how = event.signal === null ? `exited with code ${event.code}` : `was killed by ${event.signal}`;
  return `the first new worker ${how} ${phase.name === 'booting' ? 'before' : 'soon after'} it was ready`;
}

/** Exits that were not asked for count against a generation on probation. A SIGKILL comes from an operator or the kernel. */
function countCrash(fleet: Fleet, id: number, signal: string | null): Fleet {
  const worker = findWorker(fleet, id);
  const { probation } = fleet;
  if (worker === undefined || probation === null || worker.generation !== probation.generation) return fleet;
  if (!isLive(worker) || signal === 'SIGKILL') return fleet;
  return { ...fleet, probation: { ...probation, crashes: probation.crashes + 1 } };
}

/** Decides between exit statuses 4 and 3, until the first worker is ready. */
function countLoadFailure(fleet: Fleet, id: number, kind: FailureKind): Fleet {
  if (kind !== 'load' || findWorker(fleet, id) === undefined) return fleet;
  return { ...fleet, bootFailures: { ...fleet.bootFailures, load: fleet.bootFailures.load + 1 } };
}

/** The canary fails: its reload is refused. @param gone the worker, if the fleet no longer has it */
function refuseCanary(fleet: Fleet, id: number, reason: string, gone?: Worker): Fleet {
  const worker = gone ?? findWorker(fleet, id);
  if (worker === undefined || fleet.reload.state !== 'canary' || !isCandidate(fleet, worker)) return fleet;
  return { ...fleet, reload: refused(fleet.reload, reason) };
}
