/** Workers are started: the canary of a reload, those that are missing, and the successors of the stale and spent. */

import { fixed } from '../fixed.ts';
import {
  drainingGenerations,
  firstRound,
  isCandidate,
  isLive,
  leaving,
  replaceReason,
  slotOf,
  surge,
  target,
} from '../fleet.ts';
import { newWorker, type Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

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
  spawn(turn, 0, reload.generation);
}

function fillVacancies(turn: Turn): void {
  if (isFirstRoundOver(turn)) return;
  for (let slot = 0; slot < target(turn.fleet); slot += 1) {
    const { fleet } = turn;
    if (booting(turn) >= fleet.policy.maxBooting) return;
    // A canary is extra: the old generation stays at full strength beside it.
    if (fleet.workers.some((w) => w.slot === slot && isLive(w) && !isCandidate(fleet, w))) continue;
    if (turn.due(slotOf(fleet, slot).notBefore)) spawn(turn, slot, fleet.generation);
  }
}

/** At the very first start the app is tried by one round of boots, not by an endless row of them. */
function isFirstRoundOver({ fleet }: Turn): boolean {
  return fleet.start === 'starting' && fleet.bootFailures.count + fleet.workers.length >= firstRound(fleet);
}

function fillSuccessors(turn: Turn): void {
  if (turn.fleet.reload.state === 'canary') return;
  for (const slot of byAge(turn)) {
    const { fleet, now } = turn;
    if (booting(turn) >= fleet.policy.maxBooting || surge(fleet) >= fleet.policy.maxSurge) return;
    const live = fleet.workers.filter((worker) => worker.slot === slot && isLive(worker));
    const [incumbent] = live;
    if (incumbent === undefined || live.length > 1) continue;
    const reason = replaceReason(fleet, incumbent, now);
    if (reason === null) {
      wakeWhenSpent(turn, incumbent);
      continue;
    }
    if (reason === 'reload' && drainingGenerations(fleet) >= fixed.drainingGenerations) continue;
    if (leaving(fleet, slot) >= fixed.leavingPerSlot) continue;
    if (turn.due(slotOf(fleet, slot).notBefore)) spawn(turn, slot, fleet.generation);
  }
}

/** The slots, that of the oldest worker first: a worker that is soon spent again does not keep the others waiting. */
function byAge({ fleet }: Turn): number[] {
  const slots = Array.from({ length: target(fleet) }, (_, slot) => slot);
  const oldest = (slot: number) => fleet.workers.find((worker) => worker.slot === slot && isLive(worker))?.id ?? 0;
  return slots.sort((a, b) => oldest(a) - oldest(b));
}

function wakeWhenSpent(turn: Turn, worker: Worker): void {
  if (worker.spent !== null) turn.due(worker.spent.from);
  if (worker.limits.lifetime !== null) turn.due(worker.bornAt + worker.limits.lifetime);
}

/** Boots at a time, without the canary's: that may take long, and vacancies do not wait for it. */
function booting({ fleet }: Turn): number {
  return fleet.workers.filter((worker) => worker.phase.name === 'booting' && !isCandidate(fleet, worker)).length;
}

function spawn(turn: Turn, slot: number, generation: number): void {
  const id = turn.fleet.nextWorkerId;
  const worker = newWorker({ id, slot, generation }, turn.now);
  turn.change({ nextWorkerId: id + 1, workers: [...turn.fleet.workers, worker] });
  turn.do({ type: 'spawn', id, slot, generation });
}
