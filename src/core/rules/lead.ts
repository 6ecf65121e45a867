/**
 * One worker of the service leads: it does what only one may do, as long as it serves. The next one begins only after it
 * has ended that, or its process is gone.
 *
 * Two masters, at an upgrade, have one right between them to name a leader. The old one has it until none of its workers
 * is to serve and its leader has ended; whatever becomes of either, the other one gets it only then.
 */
import { fixed } from '../fixed.ts';
import { isCandidate, isReady, replaceReason, target } from '../fleet.ts';
import type { SeatedWorker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function lead(turn: Turn): void {
  const { leadership } = turn.fleet;
  const { right, leader, notBefore, claims } = leadership;
  if (leader !== null) return;
  if (right !== 'none' && target(turn.fleet) === 0) {
    turn.change({ leadership: { ...leadership, right: 'none' } });
    turn.do({ type: 'releaseLead' });
    return;
  }
  const next = right === 'asked' ? null : bestOf(turn);
  if (next === null) return;
  if (right === 'none') {
    turn.change({ leadership: { ...leadership, right: 'asked', claims: claims + 1 } });
    turn.do({ type: 'claimLead', claim: claims + 1 });
  } else if (turn.due(notBefore)) {
    turn.change({ leadership: { ...leadership, leader: { id: next.id, since: turn.now } } });
    turn.do({ type: 'lead', id: next.id });
  }
}

/** The worker that is likely to serve longest. A canary is none before it is promoted. */
function bestOf(turn: Turn): SeatedWorker | null {
  const { fleet } = turn;
  if (target(fleet) === 0) return null;
  let best: SeatedWorker | null = null;
  for (const worker of fleet.workers) {
    if (worker.slot === null || !worker.candidate || !isReady(worker) || isCandidate(fleet, worker)) continue;
    if (best === null || isBetter(turn, worker, best)) best = worker;
  }
  return best;
}

function isBetter(turn: Turn, a: SeatedWorker, b: SeatedWorker): boolean {
  const [one, other] = [rank(turn, a), rank(turn, b)];
  const at = one.findIndex((value, index) => value !== other[index]);
  return (one[at] ?? 0) < (other[at] ?? 0);
}

/** Less is better, the first difference counts. */
function rank({ fleet, now }: Turn, worker: SeatedWorker): readonly number[] {
  return [
    replaceReason(fleet, worker, now) === null ? 0 : 1,
    // It may be blocked.
    now - worker.beatAt <= fixed.spareSilence ? 0 : 1,
    worker.hindrance === null ? 0 : 1,
    -worker.generation,
    worker.slot,
    -worker.id,
  ];
}
