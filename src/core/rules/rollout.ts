/** The rest of a reload, after its canary: done when every worker is replaced, stopped half way if new workers do not boot. */

import { fixed } from '../fixed.ts';
import { isLive, isStale } from '../fleet.ts';
import type { Probation } from '../model.ts';
import { reloadOutcome } from '../outcomes.ts';
import type { Turn } from '../turn.ts';
import { worseNow } from './judge.ts';

export function rollout(turn: Turn): void {
  const { fleet } = turn;
  const { reload: state } = fleet;
  if (state.state !== 'rolling' || fleet.stopping !== null) return;
  const fresh = new Set(
    fleet.workers.filter((w) => w.phase.name === 'ready' && w.generation === state.generation).map((w) => w.slot),
  );
  const everySlot = Array.from({ length: fleet.dormant ? 0 : fleet.wanted }, (_, slot) => slot);
  const stale = fleet.workers.filter((worker) => isStale(fleet, worker));
  const replaced = !stale.some((worker) => isLive(worker) || turn.mayAccept(worker));
  if (replaced && everySlot.every((slot) => fresh.has(slot))) {
    const { reload, generation, rollback } = state;
    const verdict = rollback === null ? 'completed' : 'rolled-back';
    const outcome = reloadOutcome(fleet, state, { verdict, reason: rollback }, turn.now);
    turn.change({
      reload: { state: 'idle' },
      lastReload: outcome,
      probation: rollback === null ? onProbation(turn, generation) : null,
    });
    turn.do({ type: 'complete', reload, generation, duration: outcome.duration });
    return;
  }
  const unwanted = fleet.rollbackPending ? 'the release before was asked for' : null;
  const late = turn.due(state.timedFrom + fleet.policy.progressDeadline);
  const crashes = unproven(turn);
  const isWell = state.failures < fixed.rolloutFailures && crashes < fixed.rolloutFailures && !late;
  const worse = state.rollback === null ? worseNow(fleet, state.generation) : null;
  if (isWell && unwanted === null && worse === null) return;
  const reason =
    unwanted ??
    (worse === null ? haltReason(state.failures, crashes, late) : `generation ${state.generation} is ${worse}`);
  const outcome = reloadOutcome(fleet, state, { verdict: 'halted', reason }, turn.now);
  turn.change({
    halted: true,
    reload: { state: 'idle' },
    lastReload: outcome,
    // If it goes on crashing, what it has replaced so far is rolled back; if it serves worse, at once.
    probation: state.rollback === null ? onProbation(turn, state.generation, { crashes, worse }) : null,
  });
  turn.do({ type: 'halt', reload: state.reload, reason, duration: outcome.duration });
}

function haltReason(failures: number, crashes: number, late: boolean): string {
  if (failures >= fixed.rolloutFailures) return `${failures} new workers in a row failed to boot`;
  if (late) return 'not every worker was replaced within progressDeadline';
  return `${crashes} new workers crashed before they had served for long`;
}

/** Failed boots and short lives in slots that have no stable worker yet: being ready for a moment proves nothing. */
function unproven({ fleet, now }: Turn): number {
  const proven = new Set(
    fleet.workers
      .filter((w) => w.generation === fleet.generation && w.phase.name === 'ready')
      .filter((w) => now - w.phase.since >= fixed.stableAfter)
      .map((w) => w.slot),
  );
  return [...fleet.slots].reduce((sum, [slot, { failures }]) => (proven.has(slot) ? sum : sum + failures), 0);
}

function onProbation(
  { fleet, now }: Turn,
  generation: number,
  { crashes, worse }: Pick<Probation, 'crashes' | 'worse'> = { crashes: 0, worse: null },
): Probation | null {
  const { rollbackWindow } = fleet.policy;
  return rollbackWindow > 0 ? { generation, until: now + rollbackWindow, crashes, worse } : null;
}
