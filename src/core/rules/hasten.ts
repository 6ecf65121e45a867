/**
 * A worker whose end nobody waits for keeps idle connections open for long. That ends when somebody does wait: a stop, a
 * first start that has failed once they are gone, or the next replacement, if as many are on their way out as may be at a
 * time. So what lingers is bounded, and a reload waits for requests only, never for idle connections.
 */

import { fixed } from '../fixed.ts';
import { generationsLeaving, isCandidate, isLive, leaving } from '../fleet.ts';
import type { Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function hasten(turn: Turn): void {
  const { fleet } = turn;
  const generations = generationsLeaving(fleet);
  const oldestGeneration =
    generations.size >= fixed.drainingGenerations ? Math.min(...generations) : Number.NEGATIVE_INFINITY;
  for (const worker of fleet.workers) {
    const isOfOldest = !isLive(worker) && worker.generation <= oldestGeneration;
    // The next reload's workers will have the number of those that were rejected.
    const isInTheWay = (fleet.reloadPending || fleet.rollbackPending) && isCandidate(fleet, worker);
    if (fleet.stopping !== null || fleet.start === 'starting') turn.hasten(worker);
    else if (isInTheWay || isOfOldest || isOldestOfCrowdedSlot(turn, worker)) turn.hasten(worker);
  }
}

function isOldestOfCrowdedSlot({ fleet }: Turn, worker: Worker): boolean {
  if (worker.slot === null || leaving(fleet, worker.slot) < fixed.leavingPerSlot) return false;
  return !fleet.workers.some((other) => other.slot === worker.slot && !isLive(other) && other.id < worker.id);
}
