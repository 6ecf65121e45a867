/**
 * Spares: booted workers without a slot and without sockets. One of them takes a place that is free at once; the next is
 * booted when the pool is whole again. They are of the generation in force, and of no other.
 */

import { fixed } from '../fixed.ts';
import {
  isCanaryOut,
  isCandidate,
  isReady,
  isSpare,
  replaceReason,
  slotOf,
  target,
  wantedSpares,
  withChanged,
  withSlot,
} from '../fleet.ts';
import type { PlaceReason, RetireReason, SpareWorker, Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

/** Failures of a slot that may be chance. With more of them a spare waits as a boot would: it hides no crash loop. */
const byChance = 1;

export function spares(turn: Turn): void {
  dismiss(turn);
  boot(turn);
}

/** Gives the slot to a spare. @returns whether there was one for it */
export function place(turn: Turn, slot: number, reason: PlaceReason): boolean {
  const { fleet, now } = turn;
  const spare = fleet.workers.find((worker): worker is SpareWorker => isFit(turn, worker));
  if (spare === undefined) return false;
  const { failures, notBefore } = slotOf(fleet, slot);
  if (failures > byChance && !turn.due(notBefore)) return false;
  const placed: Worker = { ...spare, slot, phase: { name: 'joining', since: now } };
  turn.fleet = withChanged(fleet, placed);
  // It came after the last failure, and may prove that the slot is well again.
  if (notBefore > now) turn.fleet = withSlot(turn.fleet, slot, { notBefore: now });
  turn.do({ type: 'place', id: spare.id, slot, reason });
  return true;
}

/** Whether it can serve at once, and need not be replaced soon. */
function isFit({ fleet, now }: Turn, worker: Worker): boolean {
  if (worker.phase.name !== 'spare' || worker.generation !== fleet.generation) return false;
  // What has been silent for longer than a beat or two may be blocked, and a boot is worth more than a wait.
  if (now - worker.beatAt > fixed.spareSilence) return false;
  return worker.hindrance === null && worker.offence === null && replaceReason(fleet, worker, now) === null;
}

/** Those that are not wanted leave at once: they have no clients. */
function dismiss(turn: Turn): void {
  const wanted = wantedSpares(turn.fleet);
  for (const worker of turn.fleet.workers.filter(isSpare)) {
    const reason = reasonToLeave(turn, worker, wanted);
    if (reason === null) continue;
    const { stopping, policy } = turn.fleet;
    const deadline = stopping === null ? turn.now + policy.gracefulTimeout : stopping.deadline;
    // One that has booted has connections of its own to close, to a database for example.
    if (worker.phase.name === 'spare') turn.drain(worker, reason, deadline, stopping?.kind === 'quick');
    else turn.kill(worker, 'shutdown', 'SIGKILL');
  }
}

function reasonToLeave(turn: Turn, worker: Worker, wanted: number): RetireReason | null {
  const { fleet, now } = turn;
  if (fleet.stopping !== null) return 'shutdown';
  if (worker.generation !== fleet.generation) return 'reload';
  if (wanted === 0) return fleet.upgrade.state === 'ready' ? 'upgrade' : 'scale';
  const reason = replaceReason(fleet, worker, now);
  if (reason === null) {
    turn.wakeWhenSpent(worker);
    return null;
  }
  // New before old, as with those that serve.
  const isReplaced = fleet.workers.filter(({ phase }) => phase.name === 'spare').length > wanted;
  return isReplaced || worker.phase.name === 'booting' ? reason : null;
}

/** The next spare is booted when nothing else needs to be: never instead of a worker that serves. */
function boot(turn: Turn): void {
  for (;;) {
    const { fleet, now } = turn;
    const wanted = wantedSpares(fleet);
    const all = fleet.workers.filter(isSpare);
    const fresh = all.filter((worker) => replaceReason(fleet, worker, now) === null);
    const isMissing = fresh.length < wanted && all.length <= wanted;
    if (!isMissing || !isWhole(turn)) return;
    const booting = fleet.workers.filter(({ phase }) => phase.name === 'booting').length;
    if (booting >= fleet.policy.maxBooting || !turn.due(fleet.spareBoots.notBefore)) return;
    turn.spawn(null, fleet.generation);
  }
}

/** Whether every slot serves well, no change of the fleet is under way, and no other master has workers beside ours. */
function isWhole(turn: Turn): boolean {
  const { fleet } = turn;
  if (fleet.start !== 'complete' || fleet.predecessor === 'serves') return false;
  if (fleet.reload.state !== 'idle' && !isCanaryOut(fleet)) return false;
  if (fleet.reloadPending || fleet.rollbackPending) return false;
  if (fleet.upgrade.state === 'asked' || fleet.upgrade.state === 'starting') return false;
  return Array.from({ length: target(fleet) }, (_, slot) => slot).every((slot) => isWell(turn, slot));
}

/** Whether a worker of this slot serves; of one that has failed again and again, for long: a crash loop gets no spares. */
function isWell(turn: Turn, slot: number): boolean {
  const { fleet } = turn;
  const ready = fleet.workers.filter(
    (worker) => worker.slot === slot && isReady(worker) && !isCandidate(fleet, worker),
  );
  if (slotOf(fleet, slot).failures <= byChance) return ready.length > 0;
  return ready.some(({ phase }) => turn.due(phase.since + fixed.stableAfter));
}
