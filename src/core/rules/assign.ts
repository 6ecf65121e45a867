/**
 * Every queue has a live worker that accepts from it.
 *
 * Worker i accepts from queue i and the next one (Pitchfork's overlapping queues), so a worker that blocks or dies
 * leaves no client waiting. A queue without an acceptor of its own (its workers boot, or were scaled away) goes to the
 * ready worker that has the fewest.
 */
import { isLive, isReady, seated, withWorker } from '../fleet.ts';
import type { SeatedWorker } from '../model.ts';
import type { Turn } from '../turn.ts';

/** Queues that are a worker's own. */
const overlap = 2;

export function assign(turn: Turn): void {
  const { queueCount } = turn.fleet;
  const accepting = seated(turn.fleet).filter(isLive);
  const ready = accepting.filter(isReady);
  const queues = new Map<SeatedWorker, Set<number>>();
  for (const worker of accepting) {
    const own = Array.from({ length: Math.min(overlap, queueCount) }, (_, i) => (worker.slot + i) % queueCount);
    queues.set(worker, new Set(own));
  }
  for (let queue = 0; queue < queueCount; queue += 1) {
    if (ready.length === 0 || ready.some((worker) => queues.get(worker)?.has(queue))) continue;
    const [first] = ready;
    const least = ready.reduce(
      (a, b) => ((queues.get(b)?.size ?? 0) < (queues.get(a)?.size ?? 0) ? b : a),
      first as SeatedWorker,
    );
    queues.get(least)?.add(queue);
  }
  for (const [worker, set] of queues) {
    const wanted = [...set].sort((a, b) => a - b);
    if (wanted.join() === worker.queues.join()) continue;
    turn.fleet = withWorker(turn.fleet, worker.id, { queues: wanted });
    turn.do({ type: 'assign', id: worker.id, queues: wanted });
  }
}
