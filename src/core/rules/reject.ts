/** A refused reload is rejected: nothing has changed, and what was started for it leaves again. */
import { isCandidate } from '../fleet.ts';
import type { Reload } from '../model.ts';
import { reloadOutcome } from '../outcomes.ts';
import type { Turn } from '../turn.ts';

export function reject(turn: Turn): void {
  const { reload, stopping } = turn.fleet;
  // A stop has its own verdict on a reload, and its own times.
  if (stopping !== null) return;
  if (reload.state === 'refused') rejectReload(turn, reload, reload.reason);
  if (turn.fleet.reload.state !== 'canary') removeCandidates(turn);
}

/** Ends a reload that has changed nothing yet. */
export function rejectReload(turn: Turn, state: Exclude<Reload, { state: 'idle' }>, reason: string): void {
  const outcome = reloadOutcome(turn.fleet, state, { verdict: 'rejected', reason }, turn.now);
  turn.change({ reload: { state: 'idle' }, lastReload: outcome });
  turn.do({ type: 'reject', reload: outcome.reload, reason, duration: outcome.duration });
}

function removeCandidates(turn: Turn): void {
  for (const worker of turn.fleet.workers) {
    if (!isCandidate(turn.fleet, worker)) continue;
    const deadline = turn.now + turn.fleet.policy.gracefulTimeout;
    if (worker.phase.name === 'booting' || worker.phase.name === 'joining')
      turn.dismiss(worker, ['reload-rejected', 'reload'], deadline);
    if (worker.phase.name === 'ready') turn.drain(worker, 'reload', deadline);
  }
}
