/** New before old: an incumbent leaves when its successor is ready, and only where capacity stays whole. */
import { isCandidate, isReady, readyCount, replaceReason, target } from '../fleet.ts';
import type { Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function retire(turn: Turn): void {
  if (turn.fleet.stopping !== null) return;
  for (let slot = 0; slot < target(turn.fleet); slot += 1) retireIn(turn, slot);
}

function retireIn(turn: Turn, slot: number): void {
  const { fleet, now } = turn;
  const ready = fleet.workers.filter((w) => w.slot === slot && isReady(w) && !isCandidate(fleet, w));
  const keep = ready.reduce<Worker | null>((best, w) => (best === null || isBetter(turn, w, best) ? w : best), null);
  for (const worker of ready) {
    if (worker === keep || keep === null || keep.phase.name !== 'ready') continue;
    if (!turn.due(keep.phase.since + fleet.policy.minReady)) continue;
    if (readyCount(turn.fleet) <= target(turn.fleet)) return;
    turn.drain(worker, replaceReason(fleet, worker, now) ?? 'scale', now + fleet.policy.gracefulTimeout);
  }
}

function isBetter({ fleet, now }: Turn, a: Worker, b: Worker): boolean {
  const aSpent = replaceReason(fleet, a, now) !== null;
  const bSpent = replaceReason(fleet, b, now) !== null;
  return aSpent === bSpent ? a.id > b.id : bSpent;
}
