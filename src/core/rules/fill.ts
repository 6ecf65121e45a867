/** Workers are started: the canary of a reload, those that are missing, and the successors of the stale and spent. */

import { fixed } from '../fixed.ts';
import {
  drainingGenerations,
  firstRound,
  isCanaryOut,
  isCandidate,
  isLive,
  leaving,
  replaceReason,
  seated,
  slotOf,
  surge,
  target,
} from '../fleet.ts';
import type { Turn } from '../turn.ts';
import { place } from './spares.ts';

export function fill(turn: Turn): void {
  if (turn.fleet.stopping !== null) return;
  fillCanary(turn);
  fillVacancies(turn);
  fillSuccessors(turn);
}

function fillCanary(turn: Turn): void {
  const { fleet } = turn;
  const { reload } = fleet;
  if (reload.state !== 'canary') return;
  if (fleet.workers.some((worker) => isCandidate(fleet, worker))) return;
  if (drainingGenerations(fleet) >= fixed.drainingGenerations) return;
  // What is brought back has served before.
  turn.spawn(0, reload.generation, reload.policy.verify && reload.rollback === null);
}

function fillVacancies(turn: Turn): void {
  if (isFirstRoundOver(turn)) return;
  for (let slot = 0; slot < target(turn.fleet); slot += 1) {
    const { fleet } = turn;
    // A canary is extra: the old generation stays at full strength beside it.
    if (fleet.workers.some((w) => w.slot === slot && isLive(w) && !isCandidate(fleet, w))) continue;
    if (place(turn, slot, slotOf(fleet, slot).restarts > 0 ? 'gone' : 'scale')) continue;
    if (booting(turn) >= fleet.policy.maxBooting) continue;
    if (turn.due(slotOf(fleet, slot).notBefore)) turn.spawn(slot, fleet.generation);
  }
}

/** At the very first start the app is tried by one round of boots, not by an endless row of them. */
function isFirstRoundOver({ fleet }: Turn): boolean {
  return fleet.start === 'starting' && fleet.bootFailures.count + fleet.workers.length >= firstRound(fleet);
}

function fillSuccessors(turn: Turn): void {
  if (turn.fleet.reload.state === 'canary' && !isCanaryOut(turn.fleet)) return;
  for (const slot of byAge(turn)) {
    const { fleet, now } = turn;
    if (surge(fleet) >= fleet.policy.maxSurge) return;
    const live = fleet.workers.filter((w) => w.slot === slot && isLive(w) && !isCandidate(fleet, w));
    const [incumbent] = live;
    if (incumbent === undefined || live.length > 1) continue;
    const reason = replaceReason(fleet, incumbent, now);
    if (reason === null) {
      turn.wakeWhenSpent(incumbent);
      continue;
    }
    if (reason === 'reload' && drainingGenerations(fleet) >= fixed.drainingGenerations) continue;
    if (leaving(fleet, slot) >= fixed.leavingPerSlot) continue;
    if (place(turn, slot, 'recycle')) continue;
    if (booting(turn) >= fleet.policy.maxBooting) continue;
    if (turn.due(slotOf(fleet, slot).notBefore)) turn.spawn(slot, fleet.generation);
  }
}

/** The slots, that of the oldest worker first: a worker that is soon spent again does not keep the others waiting. */
function byAge({ fleet }: Turn): number[] {
  const slots = Array.from({ length: target(fleet) }, (_, slot) => slot);
  const oldest = (slot: number) => fleet.workers.find((worker) => worker.slot === slot && isLive(worker))?.id ?? 0;
  return slots.sort((a, b) => oldest(a) - oldest(b));
}

/** Boots at a time, without the canary's and the spares': they may take long, and vacancies do not wait for them. */
function booting({ fleet }: Turn): number {
  return seated(fleet).filter((worker) => worker.phase.name === 'booting' && !isCandidate(fleet, worker)).length;
}
