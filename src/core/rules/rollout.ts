/** The rest of a reload, after its canary: done when every worker is replaced, stopped half way where they will not boot. */
import { isLive, isStale } from '../fleet.ts';
import { fixed, type Probation } from '../model.ts';
import type { Turn } from '../turn.ts';

export function rollout(turn: Turn): void {
  const { fleet } = turn;
  const { reload: state } = fleet;
  if (state.state !== 'rolling' || fleet.stopping !== null) return;
  const duration = turn.now - state.since;
  const fresh = new Set(
    fleet.workers.filter((w) => w.phase.name === 'ready' && w.generation === state.generation).map((w) => w.slot),
  );
  const everySlot = Array.from({ length: fleet.dormant ? 0 : fleet.wanted }, (_, slot) => slot);
  const stale = fleet.workers.filter((worker) => isStale(fleet, worker));
  const replaced = !stale.some((worker) => isLive(worker) || turn.mayAccept(worker));
  if (replaced && everySlot.every((slot) => fresh.has(slot))) {
    const { reload, generation, rollback } = state;
    const verdict = rollback === null ? 'completed' : 'rolled-back';
    turn.change({
      reload: { state: 'idle' },
      lastReload: { verdict, reload, generation, reason: rollback, duration },
      probation: rollback === null ? onProbation(turn, generation) : null,
    });
    turn.do({ type: 'complete', reload: state.reload, generation: state.generation, duration });
    return;
  }
  const late = turn.due(state.since + fleet.policy.progressDeadline);
  const crashes = unproven(turn);
  if (state.failures < fixed.rolloutFailures && crashes < fixed.rolloutFailures && !late) return;
  const reason = haltReason(state.failures, crashes, late);
  turn.change({
    halted: true,
    reload: { state: 'idle' },
    lastReload: { verdict: 'halted', reload: state.reload, generation: state.generation, reason, duration },
    // What crashes on takes down with it what it has replaced so far.
    probation: state.rollback === null ? onProbation(turn, state.generation, crashes) : null,
  });
  turn.do({ type: 'halt', reload: state.reload, reason, duration });
}

function haltReason(failures: number, crashes: number, late: boolean): string {
  if (failures >= fixed.rolloutFailures) return `${failures} new workers in a row failed to boot`;
  if (late) return 'not every worker was replaced within progressDeadline';
  return `${crashes} new workers crashed before they had served for long`;
}

/** Failed boots and short lives in the places that have no worker yet that stays: being ready for a moment proves nothing. */
function unproven({ fleet, now }: Turn): number {
  const proven = new Set(
    fleet.workers
      .filter((w) => w.generation === fleet.generation && w.phase.name === 'ready')
      .filter((w) => now - w.phase.since >= fixed.stableAfter)
      .map((w) => w.slot),
  );
  return [...fleet.slots].reduce((sum, [slot, { failures }]) => (proven.has(slot) ? sum : sum + failures), 0);
}

function onProbation({ fleet, now }: Turn, generation: number, crashes = 0): Probation | null {
  const { rollbackWindow } = fleet.policy;
  return rollbackWindow > 0 ? { generation, until: now + rollbackWindow, crashes } : null;
}
