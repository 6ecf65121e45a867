/**
 * Which workers give connections away, and which take them. A worker on its way out gives all that others can take; workers
 * that serve are evened out, so that each has its share.
 */
import { isCanaryOut, isCandidate, isReady, replaceReason, withWorker } from '../fleet.ts';
import { type Fleet, type Moves, moves, type Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

/** Milliseconds for what a worker that leaves gives to arrive: until then nobody knows what a share is. */
const settling = 3_000;

/** A difference of this share of the average is not worth a move. */
const tolerance = 1 / 8;

export function migrate(turn: Turn): void {
  const { fleet } = turn;
  const { migration, balance } = fleet.policy;
  const takers = takersOf(turn);
  const isServing = fleet.stopping === null;
  const isSettled = fleet.workers.every(({ phase }) => phase.name !== 'draining' || turn.due(phase.since + settling));
  const shares = migration && balance && isServing && isSettled ? sharesOf(turn, takers) : null;
  const isFed = extraOf(fleet, takers) > 0;
  const heirs = hasHeirs(fleet);
  const hasTakers = (isServing && takers.length > 0) || isOthers(fleet);
  for (const worker of fleet.workers) {
    const isTaker = takers.includes(worker);
    const share = shares?.get(worker.id);
    const own = migration
      ? movesOf(worker, {
          isTaker,
          hasTakers,
          isExcused: isExcused(turn, worker) && !isCandidate(fleet, worker),
          share,
        })
      : moves.none;
    const wanted = { ...own, atWork: share !== undefined && isFed && !isCandidate(fleet, worker), heirs };
    if (worker.pid === null || isSame(wanted, worker.moves)) continue;
    turn.fleet = withWorker(turn.fleet, worker.id, { moves: wanted });
    turn.do({ type: 'migrate', id: worker.id, ...wanted });
  }
}

/**
 * Workers that serve and stay: what one took that is about to leave it would soon give again. A canary that is out is one of
 * them: clients that keep their connections would never meet it.
 */
function takersOf(turn: Turn): readonly Worker[] {
  const { fleet, now } = turn;
  const isOut = isCanaryOut(fleet);
  const all = fleet.workers.filter((worker) => isReady(worker) && (isOut || !isCandidate(fleet, worker)));
  const free = all.filter((worker) => !isExcused(turn, worker));
  const serving = free.length > 0 ? free : all;
  const staying = serving.filter((worker) => replaceReason(fleet, worker, now) === null);
  return staying.length > 0 ? staying : serving;
}

/** Whether it is about to stop for a while: its clients are better off with others. */
function isExcused(turn: Turn, { excusedUntil }: Worker): boolean {
  return excusedUntil > 0 && !turn.due(excusedUntil);
}

interface Circumstances {
  readonly isTaker: boolean;
  readonly hasTakers: boolean;
  readonly isExcused: boolean;
  readonly share: number | undefined;
}

function isSame(one: Moves, other: Moves): boolean {
  const { keep, take, atWork, heirs } = one;
  return keep === other.keep && take === other.take && atWork === other.atWork && heirs === other.heirs;
}

function movesOf(
  { phase }: Worker,
  { isTaker, hasTakers, isExcused, share }: Circumstances,
): Omit<Moves, 'atWork' | 'heirs'> {
  if (phase.name === 'draining') {
    // Nobody else is there: what waits to be taken is this worker's, to be ended in an orderly way.
    return hasTakers && !phase.quick ? moves.giveAll : moves.free;
  }
  if (!isTaker) return phase.name === 'ready' && isExcused && hasTakers ? moves.giveAll : moves.none;
  return share === undefined ? moves.free : { keep: share, take: share };
}

/** Whether another master goes on if this one dies: one that waits for it, one that starts, or one that has taken over. */
function hasHeirs({ predecessor, upgrade }: Fleet): boolean {
  return predecessor !== 'none' || upgrade.state === 'starting' || upgrade.state === 'ready';
}

/** Whether another master's workers take what ours give. */
function isOthers({ predecessor, stopping, upgrade }: Fleet): boolean {
  return upgrade.state === 'ready' || (predecessor === 'serves' && stopping !== null);
}

/**
 * The connections that each worker is to have, `null` while they lie evenly enough. Once it has begun, it goes on until no
 * worker has more than one more than another.
 */
function sharesOf(turn: Turn, workers: readonly Worker[]): Map<number, number> | null {
  const { balancing } = turn.fleet;
  const isCanary = (worker: Worker): boolean => isCandidate(turn.fleet, worker);
  const extra = extraOf(turn.fleet, workers);
  let sum = -extra;
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const worker of workers) {
    const connections = connectionsOf(worker) - (isCanary(worker) ? extra : 0);
    sum += connectionsOf(worker);
    most = Math.max(most, connections);
    least = Math.min(least, connections);
  }
  const average = workers.length === 0 ? 0 : sum / workers.length;
  const allowed = balancing ? 1 : 1 + Math.floor(average * tolerance);
  // Where there are fewer connections than workers, each lies evenly, and a canary would have none to be judged by.
  const isStarved = sum > 1 && workers.some((worker) => isCanary(worker) && connectionsOf(worker) === 0);
  const whole = Math.floor(average);
  const more = sum - whole * workers.length;
  const target = whole + Math.min(1, more) + extra;
  const isShort = extra > 0 && workers.some((worker) => isCanary(worker) && connectionsOf(worker) < target);
  const isUneven = workers.length > 1 && (most - least > allowed || isStarved || isShort);
  if (isUneven !== balancing) turn.change({ balancing: isUneven });
  if (!isUneven) return null;
  // A canary gets one of those that cannot be shared out, and who has the most keeps one.
  const first = (a: Worker, b: Worker): number => Number(isCanary(b)) - Number(isCanary(a));
  const sorted = [...workers].sort((a, b) => first(a, b) || connectionsOf(b) - connectionsOf(a) || a.id - b.id);
  return new Map(
    sorted.map((worker, index) => [worker.id, whole + Number(index < more) + (isCanary(worker) ? extra : 0)]),
  );
}

/** Connections that a canary gets beyond its share, for they bring it too few requests; never more than as many again. */
function extraOf(fleet: Fleet, workers: readonly Worker[]): number {
  const { reload } = fleet;
  if (reload.state !== 'canary' || reload.stage.name !== 'trial') return 0;
  if (!workers.some((worker) => isCandidate(fleet, worker))) return 0;
  const connections = workers.reduce((sum, worker) => sum + connectionsOf(worker), 0);
  return Math.min(reload.stage.part.extra, Math.floor(connections / workers.length));
}

function connectionsOf({ figures }: Worker): number {
  return figures?.connections ?? 0;
}
