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
  const replaced = !fleet.workers.some((worker) => isLive(worker) && isStale(fleet, worker));
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
  if (state.failures < fixed.rolloutFailures && !late) return;
  const reason = late
    ? 'not every worker was replaced within progressDeadline'
    : `${state.failures} new workers in a row failed to boot`;
  turn.change({
    halted: true,
    reload: { state: 'idle' },
    lastReload: { verdict: 'halted', reload: state.reload, generation: state.generation, reason, duration },
  });
  turn.do({ type: 'halt', reload: state.reload, reason, duration });
}

function onProbation({ fleet, now }: Turn, generation: number): Probation | null {
  const { rollbackWindow } = fleet.policy;
  return rollbackWindow > 0 ? { generation, until: now + rollbackWindow, crashes: 0 } : null;
}
