/**
 * Whether a generation serves worse than the one before it: more errors than allowed, or slower answers, and not by chance.
 *
 * Rates are compared by the difference of two proportions (Newcombe 1998, method 10, of Wilson's score intervals): with few
 * requests it is sure of nothing, and with many of small differences as well.
 */
import { fixed } from '../fixed.ts';
import type { CanaryPolicy, Comparison, Fleet, LatencyLimit, Served } from '../model.ts';

/** Share of requests that may be longer than a 99th percentile. */
const beyondP99 = 0.01;
/** The same where cold workers answered: a cold start makes some answers slow, and those after it are faster. */
const beyondCold = 0.5;

/**
 * How long an answer may take for its generation's 99th percentile to be good, milliseconds.
 *
 * @param oldP99 of the old generation, `null` if it is not known
 * @returns `null` if there is no limit, or nothing to compare with
 */
export function latencyLimit(limit: LatencyLimit | null, oldP99: number | null): number | null {
  if (limit === null) return null;
  if ('milliseconds' in limit) return limit.milliseconds;
  return oldP99 === null ? null : Math.max(oldP99 * limit.times, oldP99 + fixed.leastSlowness);
}

/** Whether there is enough to tell how the new generation serves. */
export function isComparable({ minRequests }: CanaryPolicy, { fresh, old }: Comparison): boolean {
  return fresh.requests >= minRequests && old.requests > 0;
}

/**
 * In which way it serves worse, with the figures; `null` if it does not, or if that may be chance.
 *
 * @param leastSpells half-seconds in which it must have been slow
 */
export function worseThanOld(
  canary: CanaryPolicy,
  comparison: Comparison,
  leastSpells: number = fixed.slowSpells,
): string | null {
  if (!isComparable(canary, comparison)) return null;
  const ways = [
    hasMoreErrors(canary, comparison) ? ['worse'] : [],
    isSlower(canary, comparison, leastSpells) ? ['slower'] : [],
  ].flat();
  return ways.length === 0 ? null : `${ways.join(' and ')} than the one before: ${comparisonText(comparison)}`;
}

/** The same of a generation that is in force, from what is known of it now. */
export function worseNow({ policy, traffic, probation }: Fleet, generation: number): string | null {
  if (policy.canary === null || traffic?.generation !== generation) return null;
  return worseThanOld(policy.canary, traffic, probation === null ? fixed.slowSpells : fixed.slowSpellsAlone);
}

/** `5xx 7.1 % against 0.2 %, p99 840 ms against 120, in 412 requests`. */
export function comparisonText({ fresh, old }: Comparison): string {
  const errors = `5xx ${percent(fresh)} against ${percent(old)}`;
  const p99 = fresh.p99 === null || old.p99 === null ? [] : [`p99 ${time(fresh.p99)} ms against ${time(old.p99)}`];
  return [errors, ...p99, `in ${fresh.requests} ${fresh.requests === 1 ? 'request' : 'requests'}`].join(', ');
}

function hasMoreErrors({ maxErrorRate }: CanaryPolicy, { fresh, old }: Comparison): boolean {
  if (maxErrorRate === null) return false;
  return surelyMore(score(fresh.errors, fresh.requests), score(old.errors, old.requests)) > maxErrorRate;
}

function isSlower({ minRequests, maxP99 }: CanaryPolicy, comparison: Comparison, leastSpells: number): boolean {
  if (maxP99 === null) return false;
  const { fresh, old, slower, oldSlower, slowSpells, cold } = comparison;
  // Cold workers served the others.
  const enough = minRequests / 2;
  if ('times' in maxP99 && old.timed < enough) return false;
  if (cold.spells >= fixed.slowSpells && score(cold.slower, fresh.requests).low > beyondCold) return true;
  if (slowSpells < leastSpells || fresh.timed < enough) return false;
  const ours = score(slower, fresh.timed);
  if (ours.low <= beyondP99) return false;
  // Where about one request in a hundred is a slow one, a percentile of the old ones is that of either kind, by chance.
  return 'milliseconds' in maxP99 || surelyMore(ours, score(oldSlower, old.timed)) > 0;
}

interface Score {
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

/** By how much the first rate is greater for sure; negative if it may be smaller. */
function surelyMore(ours: Score, theirs: Score): number {
  return ours.rate - theirs.rate - Math.hypot(ours.rate - ours.low, theirs.high - theirs.rate);
}

/** Wilson's score interval of a proportion. */
function score(count: number, of: number): Score {
  const z2 = fixed.sureness ** 2;
  const rate = count / of;
  const middle = rate + z2 / (2 * of);
  const spread = fixed.sureness * Math.sqrt((rate * (1 - rate)) / of + z2 / (4 * of * of));
  const whole = 1 + z2 / of;
  return { rate, low: Math.max(0, (middle - spread) / whole), high: Math.min(1, (middle + spread) / whole) };
}

function percent({ errors, requests }: Served): string {
  const share = requests === 0 ? 0 : (errors / requests) * 100;
  // One error in many requests is not none.
  return `${share > 0 && share < 0.1 ? Number(share.toPrecision(1)) : Number(share.toFixed(1))} %`;
}

function time(milliseconds: number): string {
  return milliseconds < 10 ? String(Number(milliseconds.toFixed(1))) : String(Math.round(milliseconds));
}
