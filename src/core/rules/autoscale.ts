/**
 * The pool grows while event loops are busy, and shrinks when fewer workers would do. A worker more is cheap and one too few
 * is felt, so it grows soon and by as many as the load asks for, and shrinks late and one at a time. Between the two lies a
 * band in which nothing changes.
 */
import { fixed } from '../fixed.ts';
import { isCanaryOut, isCandidate, isReady, servingCount } from '../fleet.ts';
import type { Fleet, Range, Scaling, Trend, Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function autoscale(turn: Turn): void {
  const { autoscale: range } = turn.fleet.policy;
  if (range === null || turn.fleet.stopping !== null) {
    setTrend(turn, 'steady');
    return;
  }
  keepWithin(turn, range);
  const workers = turn.fleet.workers.filter((worker) => isReady(worker) && !isCandidate(turn.fleet, worker));
  const busy = utilisationOf(turn, workers);
  const trend = isSettled(turn, workers) ? trendOf(turn.fleet.wanted, busy, range) : 'steady';
  setTrend(turn, trend);
  // Not as soon as it is less busy for a moment: it would be said again and again.
  if (busy <= fixed.scaleDownAt) setHeld(turn, false);
  if (trend === 'up') grow(turn, busy, range, workers);
  if (trend === 'down') shrink(turn, busy);
}

/** A new configuration may have another range. */
function keepWithin(turn: Turn, { min, max }: Range): void {
  const wanted = Math.max(min, Math.min(max, turn.fleet.wanted));
  if (wanted !== turn.fleet.wanted) turn.change({ wanted });
}

/**
 * Whether the figures tell of the pool as it is to be: nothing else changes it, and what was added has had time to get its
 * share of the connections. In a crash loop there is never a whole pool, and load is not what it suffers from.
 */
function isSettled(turn: Turn, workers: readonly Worker[]): boolean {
  const { fleet } = turn;
  if (fleet.start === 'starting' || fleet.dormant || fleet.predecessor !== 'none') return false;
  if (fleet.upgrade.state !== 'none' || (fleet.reload.state !== 'idle' && !isCanaryOut(fleet))) return false;
  if (servingCount(fleet) < fleet.wanted || fleet.workers.some(({ phase }) => phase.name === 'joining')) return false;
  return workers.every(({ phase }) => turn.due(phase.since + fixed.scaleSettle));
}

/** The share of time in which event loops were not idle, averaged over workers. One that does not answer is busy. */
function utilisationOf({ now }: Turn, workers: readonly Worker[]): number {
  const sum = workers.reduce((total, { beatAt, busy }) => total + (now - beatAt > fixed.scaleSilence ? 1 : busy), 0);
  return workers.length === 0 ? 0 : sum / workers.length;
}

function trendOf(count: number, busy: number, { min, max }: Range): Trend {
  if (busy >= fixed.scaleUpAt) return count < max ? 'up' : 'steady';
  return count > min && (busy * count) / (count - 1) <= fixed.scaleDownAt ? 'down' : 'steady';
}

function setTrend(turn: Turn, trend: Trend): void {
  const { scaling } = turn.fleet;
  if (scaling.trend !== trend) turn.change({ scaling: { ...scaling, trend, since: turn.now } });
}

function setHeld(turn: Turn, isHeld: boolean): void {
  const { scaling } = turn.fleet;
  if (scaling.isHeld !== isHeld) turn.change({ scaling: { ...scaling, isHeld } });
}

function grow(turn: Turn, busy: number, { max }: Range, workers: readonly Worker[]): void {
  const { scaling, wanted } = turn.fleet;
  if (!turn.due(scaling.since + fixed.scaleUpAfter)) return;
  const asked = Math.min(max, 2 * wanted, Math.max(wanted + 1, Math.ceil((wanted * busy) / fixed.scaleTarget)));
  const { needed, room } = roomFor(turn.fleet, workers);
  const to = Math.min(asked, wanted + room);
  if (to > wanted) resize(turn, to, busyText(busy));
  else if (!scaling.isHeld) {
    setHeld(turn, true);
    const available = turn.fleet.memory ?? 0;
    turn.do({ type: 'holdSize', workers: wanted, reason: busyText(busy), needed, available });
  }
}

function shrink(turn: Turn, busy: number): void {
  const { scaling, wanted } = turn.fleet;
  const isNext = scaling.last !== null && scaling.last.to < scaling.last.from && scaling.last.at > scaling.since;
  const from = isNext ? (scaling.last?.at ?? 0) + fixed.scaleDownStep : scaling.since + fixed.scaleDownAfter;
  if (turn.due(from)) resize(turn, wanted - 1, busyText(busy));
}

function resize(turn: Turn, to: number, reason: string): void {
  const { scaling, wanted } = turn.fleet;
  const change: Scaling = { ...scaling, isHeld: false, last: { from: wanted, to, reason, at: turn.now } };
  turn.change({ wanted: to, scaling: change });
  turn.do({ type: 'resize', from: wanted, to, reason });
}

/** How many more workers as large as these the memory has room for. */
function roomFor({ memory }: Fleet, workers: readonly Worker[]): { readonly needed: number; readonly room: number } {
  const sizes = workers.map(({ figures }) => figures?.rss ?? 0);
  const needed = Math.max(1, Math.round(sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length)));
  return { needed, room: memory === null ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(memory / needed)) };
}

function busyText(busy: number): string {
  return `event loops are ${Math.round(busy * 100)} % busy`;
}
