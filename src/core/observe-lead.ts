/** Takes in who leads: which worker does what only one worker of the service may do. */
import type { EventOf } from './events.ts';
import { fixed } from './fixed.ts';
import { backoff, isReady, withWorker } from './fleet.ts';
import type { Fleet, Worker } from './model.ts';

/** The right to name a leader is here. A claim that was given up meanwhile is none. */
export function observeClaimed(fleet: Fleet, claim: number): Fleet {
  const { leadership } = fleet;
  if (leadership.right !== 'asked' || leadership.claims !== claim) return fleet;
  return { ...fleet, leadership: { ...leadership, right: 'held' } };
}

/** The leader has ended its work. One that leaves, even if the master does not know of it yet, is no candidate any more. */
export function observeResigned(fleet: Fleet, { id, reason, jitter }: EventOf<'workerResigned'>, now: number): Fleet {
  if (fleet.leadership.leader?.id !== id) return fleet;
  if (reason !== null) return failed(fleet, jitter, now);
  const free = { ...fleet, leadership: { ...fleet.leadership, leader: null } };
  return withWorker(free, id, { candidate: false });
}

/** The worker is gone. If it led, and was not told to leave, its work may be what has ended it. */
export function withoutLeader(fleet: Fleet, worker: Worker, jitter: number, now: number): Fleet {
  const { leadership } = fleet;
  const { leader } = leadership;
  if (leader?.id !== worker.id) return fleet;
  const isSoon = now - leader.since < fixed.stableAfter;
  if (isReady(worker) && isSoon) return failed(fleet, jitter, now);
  return { ...fleet, leadership: { ...leadership, leader: null } };
}

/** Work that fails again and again is begun anew later and later: each time may cost a worker. */
function failed(fleet: Fleet, jitter: number, now: number): Fleet {
  const { leadership } = fleet;
  const isSoon = leadership.leader !== null && now - leadership.leader.since < fixed.stableAfter;
  const failures = (isSoon ? leadership.failures : 0) + 1;
  return {
    ...fleet,
    leadership: { ...leadership, leader: null, failures, notBefore: now + backoff(failures, jitter) },
  };
}
