/** The order to stop: what begins it, and what makes it quick. */
import { fixed } from './fixed.ts';
import type { Fleet, Stopping } from './model.ts';

/**
 * A stop as it begins.
 *
 * @param from when the last new connection is accepted
 * @param within milliseconds that what is in flight has after that
 */
export function stopFrom(
  from: number,
  within: number,
  { kind = 'graceful', status = 0 }: Partial<Pick<Stopping, 'kind' | 'status'>> = {},
): Stopping {
  return { kind, deadline: from + within, listening: true, acceptUntil: from, status };
}

/**
 * Takes in a request to stop. The first one sets the deadline; a further one makes the stop quick, unless it is the first
 * one again: see `fixed.sameStop`.
 */
export function observeStop(fleet: Fleet, kind: Stopping['kind'], status: number, now: number): Fleet {
  const { stopping, policy } = fleet;
  const quickly = Math.min(fixed.quickStop, policy.gracefulTimeout);
  if (stopping === null) {
    const isDelayed = kind === 'graceful' && fleet.workers.length > 0;
    const within = kind === 'quick' ? quickly : policy.gracefulTimeout;
    const stop = stopFrom(isDelayed ? now + policy.drainDelay : now, within, { kind, status });
    return { ...fleet, reloadPending: false, rollbackPending: false, stopping: stop, stopAskedAt: now };
  }
  if (stopping.kind === 'quick' || isSameStop(fleet, kind, now)) return fleet;
  const deadline = Math.min(stopping.deadline, now + quickly);
  return { ...fleet, stopping: { ...stopping, kind: 'quick', acceptUntil: now, deadline } };
}

/** Whether a request to stop is the one that is being obeyed, which came by two ways. */
export function isSameStop({ stopping, stopAskedAt }: Fleet, kind: Stopping['kind'], now: number): boolean {
  return stopping?.kind === kind && stopAskedAt !== null && now - stopAskedAt < fixed.sameStop;
}
