/** New before old: an incumbent leaves when its successor is ready, and only if capacity stays whole. */

import { fixed } from '../fixed.ts';
import { isCandidate, isReady, isStale, replaceReason, servingCount, target } from '../fleet.ts';
import type { Fleet, Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function retire(turn: Turn): void {
  if (turn.fleet.stopping !== null) return;
  for (let slot = 0; slot < target(turn.fleet); slot += 1) retireIn(turn, slot);
}

function retireIn(turn: Turn, slot: number): void {
  const { fleet, now } = turn;
  const ready = fleet.workers.filter((w) => w.slot === slot && isReady(w) && !isCandidate(fleet, w));
  const keep = ready.reduce<Worker | null>((best, w) => (best === null || isBetter(turn, w, best) ? w : best), null);
  if (keep === null || keep.phase.name !== 'ready') return;
  endStaleBoots(turn, keep);
  for (const worker of ready) {
    if (worker === keep) continue;
    if (!turn.due(keep.phase.since + trial(fleet))) continue;
    if (servingCount(turn.fleet) <= target(turn.fleet)) return;
    turn.drain(worker, replaceReason(fleet, worker, now) ?? 'scale', now + fleet.policy.gracefulTimeout);
  }
}

/** How long a successor must be ready: if others like it fail, being ready for a moment proves nothing. */
function trial(fleet: Fleet): number {
  const { minReady } = fleet.policy;
  const isShaky = [...fleet.slots].some(([slot, { failures }]) => slot < target(fleet) && failures > 0);
  return isShaky ? Math.max(minReady, fixed.stableAfter) : minReady;
}

/** A worker that still boots for an older generation is of no use if the new one already serves. */
function endStaleBoots(turn: Turn, keep: Worker): void {
  if (isStale(turn.fleet, keep)) return;
  for (const worker of turn.fleet.workers) {
    const isUseless = worker.slot === keep.slot && worker.phase.name === 'booting' && isStale(turn.fleet, worker);
    if (isUseless) turn.dismiss(worker, ['shutdown', 'reload'], turn.now + turn.fleet.policy.gracefulTimeout);
  }
}

function isBetter({ fleet, now }: Turn, a: Worker, b: Worker): boolean {
  const aSpent = replaceReason(fleet, a, now) !== null;
  const bSpent = replaceReason(fleet, b, now) !== null;
  return aSpent === bSpent ? a.id > b.id : bSpent;
}
