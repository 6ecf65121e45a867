/**
 * A reload is a transaction: prepare, one canary, then the rest (`rollout`). Whatever fails before the rest changes
 * nothing (`reject`).
 */

import { fixed } from '../fixed.ts';
import { isCanaryOut, isCandidate, isLeaving, rollbackAskedFor, withWorker } from '../fleet.ts';
import { type Reload, resizedBy, sizeUnder, type Worker } from '../model.ts';
import { refused } from '../outcomes.ts';
import type { Turn } from '../turn.ts';
import { worseNow } from './judge.ts';
import { tryOut } from './trial.ts';

type Canary = Extract<Reload, { state: 'canary' }>;

export function reload(turn: Turn): void {
  if (turn.fleet.stopping !== null) return;
  const state = turn.fleet.reload;
  if (state.state === 'idle') begin(turn);
  if (turn.fleet.reload.state === 'canary') advance(turn, turn.fleet.reload);
}

function begin(turn: Turn): void {
  const { fleet, now } = turn;
  // Workers of a rejected reload carry the number that the next one will have.
  if (fleet.workers.some((worker) => isCandidate(fleet, worker))) return;
  // The new master reads the configuration anyway; if it fails, the reload comes after all.
  if (fleet.upgrade.state === 'asked' || fleet.upgrade.state === 'starting' || isLeaving(fleet)) return;
  const rollback = reasonToRollBack(turn);
  if (!fleet.reloadPending && rollback === null) return;
  const order = rollback === null ? fleet.pendingOrder : 'roll';
  const id = fleet.reloads + 1;
  turn.change({
    reloadPending: false,
    rollbackPending: false,
    reloads: id,
    probation: null,
    reload: { state: 'preparing', reload: id, since: now, rollback, order },
  });
  turn.do({ type: 'prepare', reload: id, generation: fleet.generation + 1, rollback });
}

function reasonToRollBack(turn: Turn): string | null {
  const { rollbackPending, reloadPending } = turn.fleet;
  if (rollbackPending) return rollbackAskedFor;
  return reloadPending ? null : (crashLoop(turn) ?? risen(turn));
}

/** How the traffic of a generation on probation is worse than the old one's was, if it is. */
function risen(turn: Turn): string | null {
  const { probation } = turn.fleet;
  if (probation === null || turn.now >= probation.until) return null;
  const worse = probation.worse ?? worseNow(turn.fleet, probation.generation);
  return worse === null ? null : `generation ${probation.generation} is ${worse}`;
}

/** Why the generation before is to be brought back, if it is: more of the new one's workers crashed than there are. */
function crashLoop({ fleet, now }: Turn): string | null {
  const { probation, wanted } = fleet;
  if (probation === null || now >= probation.until) return null;
  if (probation.crashes <= Math.max(fixed.rollbackCrashes, wanted)) return null;
  return `generation ${probation.generation} crashed ${probation.crashes} times after its rollout`;
}

function advance(turn: Turn, state: Canary): void {
  const canary = turn.fleet.workers.find((worker) => isCandidate(turn.fleet, worker));
  const reason = killedReason(canary) ?? (isCanaryOut(turn.fleet) ? supersededBy(turn) : null);
  if (reason !== null) {
    turn.change({ reload: refused(state, reason) });
    return;
  }
  if (canary?.phase.name !== 'ready' || !isAdmitted(turn, state, canary)) return;
  const { stage } = state;
  const servesSince = stage.name === 'verified' ? stage.since : canary.phase.since;
  if (!turn.due(servesSince + state.policy.minReady)) return;
  const next = tryOut(turn, state);
  if (next === 'hold') hold(turn, state);
  if (next === 'promote') promote(turn, state);
}

/** Whether the canary may have clients; one that is held is tried first. */
function isAdmitted(turn: Turn, state: Canary, { id, held }: Worker): boolean {
  if (!held) return true;
  const { reload: number, generation, stage } = state;
  if (stage.name === 'boot') {
    turn.change({ reload: { ...state, stage: { name: 'verify', since: turn.now } } });
    turn.do({ type: 'verify', id, reload: number, generation });
  }
  if (stage.name !== 'verified') return false;
  turn.fleet = withWorker(turn.fleet, id, { held: false });
  turn.do({ type: 'admit', id });
  return true;
}

/** What waits behind a canary that may stay out for long brings a later state than it does. */
function supersededBy({ fleet }: Turn): string | null {
  if (fleet.upgrade.state === 'asked') return 'an upgrade was asked for, which reads the configuration anew';
  return fleet.reloadPending ? 'another reload was asked for' : null;
}

function hold(turn: Turn, state: Canary): void {
  if (state.stage.name === 'held') return;
  // Undecided traffic holds it like an operator does.
  turn.change({ reload: { ...state, order: 'hold', stage: { name: 'held', since: turn.now } } });
  turn.do({ type: 'hold', reload: state.reload, generation: state.generation });
}

function promote(turn: Turn, { reload: id, since, rollback, order, generation, policy }: Canary): void {
  const timedFrom = isCanaryOut(turn.fleet) ? turn.now : since;
  const { wanted: from, dormant, scaling } = turn.fleet;
  const to = sizeUnder(policy, from);
  const isResized = to !== from && !dormant;
  turn.change({
    generation,
    policy,
    wanted: to,
    scaling: isResized ? { ...scaling, last: { from, to, reason: resizedBy.settings, at: turn.now } } : scaling,
    dormant: false,
    halted: false,
    // A fix does not wait for the backoff of what it fixes.
    slots: new Map([...turn.fleet.slots].map(([key, slot]) => [key, { ...slot, failures: 0, notBefore: turn.now }])),
    spareBoots: { failures: 0, notBefore: turn.now },
    reload: { state: 'rolling', reload: id, since, rollback, order, generation, timedFrom, failures: 0 },
    // What its trial has shown is no news of the rollout.
    traffic: null,
  });
  turn.do({ type: 'promote', reload: id, generation });
  if (isResized) turn.do({ type: 'resize', from, to, reason: resizedBy.settings });
}

/** Why the canary had to be killed, if it had; how it fails by itself is observed as it happens. */
function killedReason(canary: Worker | undefined): string | null {
  if (canary?.phase.name !== 'killed' && canary?.phase.name !== 'draining') return null;
  if (canary.phase.reason !== 'boot-timeout' && canary.phase.name === 'draining') return null;
  if (canary.phase.reason !== 'boot-timeout') return `the first new worker was killed (${canary.phase.reason})`;
  const why = canary.hindrance === null ? '' : `: ${canary.hindrance}`;
  return `the first new worker was not ready within bootTimeout${why}`;
}
