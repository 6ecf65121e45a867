/**
 * The loop body of the master as one pure function: from what is known to what is to be done now.
 *
 * Level-triggered: it compares what is with what should be, so it does not matter which event led here, and a second
 * call without a new event or a passed deadline gives no actions.
 */
import type { Action } from './actions.ts';
import type { Fleet } from './model.ts';
import { assign } from './rules/assign.ts';
import { autoscale } from './rules/autoscale.ts';
import { fill } from './rules/fill.ts';
import { hasten } from './rules/hasten.ts';
import { lead } from './rules/lead.ts';
import { migrate } from './rules/migrate.ts';
import { overdue } from './rules/overdue.ts';
import { reject } from './rules/reject.ts';
import { reload } from './rules/reload.ts';
import { reopen } from './rules/reopen.ts';
import { retire } from './rules/retire.ts';
import { rollout } from './rules/rollout.ts';
import { shrink } from './rules/shrink.ts';
import { shutdown } from './rules/shutdown.ts';
import { spares } from './rules/spares.ts';
import { start } from './rules/start.ts';
import { upgrade } from './rules/upgrade.ts';
import { type Rule, Turn } from './turn.ts';

export interface Decision {
  readonly fleet: Fleet;
  readonly actions: readonly Action[];
  /** When to decide again if nothing happens before; `null` is never. */
  readonly wakeAt: number | null;
}

/** In this order: what frees capacity first, what spends it last. */
const rules: readonly Rule[] = [
  upgrade,
  shutdown,
  reject,
  overdue,
  reload,
  rollout,
  start,
  autoscale,
  shrink,
  retire,
  hasten,
  fill,
  spares,
  assign,
  migrate,
  lead,
  reopen,
];

function isMigration({ type }: Action): boolean {
  return type === 'migrate';
}

/** @param now milliseconds of the running clock; never less than in the call before */
export function decide(fleet: Fleet, now: number): Decision {
  const turn = new Turn(fleet, now);
  // What one rule changes may be what another waits for: the last pass is the one that changes nothing.
  for (let before: Fleet | null = null; turn.fleet !== before; ) {
    before = turn.fleet;
    turn.beginPass();
    for (const rule of rules) rule(turn);
  }
  // A worker knows what becomes of its connections before it is told to leave.
  const { actions } = turn;
  const ordered = [...actions.filter(isMigration), ...actions.filter((action) => !isMigration(action))];
  return { fleet: turn.fleet, actions: ordered, wakeAt: turn.wakeAt };
}
