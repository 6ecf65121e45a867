/** Slots beyond the size of the pool are given up, highest number first. */
import { isCandidate, seated, servingCount, target } from '../fleet.ts';
import type { Turn } from '../turn.ts';

export function shrink(turn: Turn): void {
  // A stop is not a smaller pool: it has its own times.
  if (turn.fleet.stopping !== null) return;
  const size = target(turn.fleet);
  const beyond = seated(turn.fleet)
    .filter((worker) => worker.slot >= size && !isCandidate(turn.fleet, worker))
    .sort((a, b) => b.slot - a.slot);
  const reason = turn.fleet.upgrade.state === 'ready' ? 'upgrade' : 'scale';
  const deadline = turn.now + turn.fleet.policy.gracefulTimeout;
  for (const worker of beyond) {
    if (worker.phase.name === 'booting' || worker.phase.name === 'joining')
      turn.dismiss(worker, ['shutdown', reason], deadline);
    // Not before enough others are ready.
    else if (worker.phase.name === 'ready' && servingCount(turn.fleet) > size) {
      turn.drain(worker, reason, deadline);
    }
  }
}
