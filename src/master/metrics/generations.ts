/**
 * What each generation serves, and the comparison by which a new one is judged: of its canary with the others while that is
 * tried, and of its last seconds with what the old one served while it takes over and for a while after that.
 */
import type { Event } from '../../core/events.ts';
import type { CanaryPolicy, Comparison, Fleet, Worker } from '../../core/model.ts';
import { latencyLimit } from '../../core/rules/judge.ts';
import type { TrafficDelta } from '../../protocol/traffic.ts';
import { type Family, family, type Labels } from './family.ts';
import { ServedTally } from './served.ts';

/** A generation that is judged, and what it is compared with. */
interface Watch {
  /** `trial`: by its canary, from its first request on. `rollout`: by what it served last. */
  readonly kind: 'trial' | 'rollout';
  readonly generation: number;
  readonly canary: CanaryPolicy;
  readonly since: number;
  readonly fresh: ServedTally;
  readonly old: ServedTally;
}

/** What was served in half a second, by generation. */
interface Spell {
  readonly at: number;
  readonly by: Map<number, ServedTally>;
}

export interface GenerationTrafficSources {
  readonly fleet: () => Fleet;
  /** Of the running clock. */
  readonly now: () => number;
}

const spell = 500;
/** Milliseconds that are looked back upon. */
const memory = 60_000;
/** What a generation served in this time judges it after its trial; in more of it if there were few requests. */
const recently = 10_000;
/** A worker's requests are timed from this age on, or a quarter of the trial if that is less: it starts cold. */
const warmUp = 3_000;
/** A worker whose median falls below this share of what it was in its first half-second is on its way to be warm. */
const warming = 0.75;
/** Milliseconds between two comparisons. */
const compareEvery = 100;
/** Generations that `/metrics` shows. */
const shown = 5;

export class GenerationTraffic {
  readonly #sources: GenerationTrafficSources;
  /** Responses by class of their status, such as `5xx`. */
  readonly #totals = new Map<number, Map<string, number>>();
  #spells: Spell[] = [];
  #watch: Watch | null = null;
  #last: { readonly at: number; readonly comparison: Comparison } | null = null;

  constructor(sources: GenerationTrafficSources) {
    this.#sources = sources;
  }

  /** @returns the comparison with it, if a generation is being judged and it is time for one */
  onTraffic(delta: TrafficDelta, worker: Worker): Event | null {
    const canary = this.#watch?.canary ?? this.#sources.fleet().policy.canary;
    if (canary === null) return null;
    const now = this.#sources.now();
    const { generation, phase } = worker;
    const isWarm = phase.name === 'ready' && now - phase.since >= Math.min(warmUp, canary.for / 4);
    this.#count(generation, delta);
    this.#tallyOf(generation, now).add(delta, isWarm);
    const watch = this.#watch;
    if (watch === null) return null;
    if (generation < watch.generation) watch.old.add(delta, isWarm);
    else if (generation === watch.generation && watch.kind === 'trial') watch.fresh.add(delta, isWarm);
    if (this.#last !== null && now - this.#last.at < compareEvery) return null;
    const comparison = this.#compare(watch, now);
    this.#last = { at: now, comparison };
    return { type: 'trafficCompared', comparison };
  }

  onTurn(fleet: Fleet): void {
    const wanted = wantedWatch(fleet);
    const watch = this.#watch;
    if (wanted?.kind === watch?.kind && wanted?.generation === watch?.generation) return;
    this.#last = null;
    if (wanted === null) {
      this.#watch = null;
      return;
    }
    const goesOn = watch !== null && watch.generation === wanted.generation && wanted.kind === 'rollout';
    const old = goesOn ? watch.old : new ServedTally();
    // Without a trial before it, the minute before the rollout is what there is to compare with.
    if (!goesOn && wanted.kind === 'rollout') this.#recall(old, wanted.generation, this.#sources.now() - memory);
    this.#watch = { ...wanted, since: this.#sources.now(), fresh: new ServedTally(), old };
  }

  /** The counters of the last generations and, while one is judged, what it is judged by. */
  families(): Family[] {
    if (this.#totals.size === 0) return [];
    const counts = [...this.#totals].flatMap(([generation, classes]) =>
      [...classes].map(([status, count]): [Labels, number] => [{ generation: String(generation), status }, count]),
    );
    return [
      family('counter', 'prefork_generation_requests_total', 'Requests by generation and class of status', counts),
      ...this.#judged(),
    ];
  }

  #judged(): Family[] {
    if (this.#watch === null || this.#last === null) return [];
    const { fresh, old } = this.#last.comparison;
    const sides = [['new', fresh] as const, ['old', old] as const];
    const of = (value: (side: Comparison['fresh']) => number | null): [Labels, number][] =>
      sides.flatMap(([side, served]): [Labels, number][] => {
        const found = value(served);
        return found === null ? [] : [[{ side }, found]];
      });
    const p99 = of((side) => (side.p99 === null ? null : side.p99 / 1_000));
    return [
      family(
        'gauge',
        'prefork_canary_requests',
        'Requests by which a generation is judged',
        of(({ requests }) => requests),
      ),
      family(
        'gauge',
        'prefork_canary_errors',
        'Of those, answered with status 5xx',
        of(({ errors }) => errors),
      ),
      family(
        'gauge',
        'prefork_canary_p99_seconds',
        '99th percentile of those that a warm worker answered, of all while there are none',
        p99,
      ),
    ];
  }

  #count(generation: number, { series }: TrafficDelta): void {
    const classes = this.#totals.get(generation) ?? new Map<string, number>();
    for (const { status, buckets } of series) {
      const name = status === 0 ? 'unknown' : `${Math.floor(status / 100)}xx`;
      classes.set(
        name,
        buckets.reduce((sum, count) => sum + count, classes.get(name) ?? 0),
      );
    }
    this.#totals.set(generation, classes);
    for (const other of this.#totals.keys()) if (other <= generation - shown) this.#totals.delete(other);
  }

  #tallyOf(generation: number, now: number): ServedTally {
    const at = now - (now % spell);
    let latest = this.#spells.at(-1);
    if (latest === undefined || latest.at < at) {
      latest = { at, by: new Map() };
      this.#spells = [...this.#spells.filter((each) => each.at > now - memory), latest];
    }
    const tally = latest.by.get(generation) ?? new ServedTally();
    latest.by.set(generation, tally);
    return tally;
  }

  /** Adds what generations before this one have served since then. */
  #recall(to: ServedTally, generation: number, from: number): void {
    for (const { at, by } of this.#spells)
      for (const [other, tally] of by) if (at > from && other < generation) to.addAll(tally);
  }

  #compare(watch: Watch, now: number): Comparison {
    const spells = this.#spellsOf(watch, now);
    const old = watch.old.served;
    const fresh = watch.kind === 'trial' ? watch.fresh : sumOf(spells);
    const limit = latencyLimit(watch.canary.maxP99, Math.max(old.p99 ?? 0, this.#oldNow(watch, now)) || null);
    const slower = limit === null ? 0 : fresh.slowerThan(limit);
    const oldSlower = limit === null ? 0 : watch.old.slowerThan(limit);
    const isSlow = (each: ServedTally): boolean => limit !== null && each.slowerThan(limit) > each.timed / 100;
    const slowSpells = spells.filter(isSlow).length;
    const cold =
      watch.kind === 'trial' && limit !== null ? coldOf(watch.fresh, spells, limit) : { slower: 0, spells: 0 };
    return { generation: watch.generation, fresh: fresh.served, old, slower, oldSlower, slowSpells, cold };
  }

  /**
   * The 99th percentile of old workers in the last seconds of a rollout, 0 if they serve hardly anything any more: while
   * workers boot, those that serve may all be slower than they were in the trial.
   */
  #oldNow({ kind, generation, canary, since }: Watch, now: number): number {
    if (kind === 'trial') return 0;
    const recent = new ServedTally();
    this.#recall(recent, generation, Math.max(since - spell, now - recently));
    return recent.timed < canary.minRequests / 2 ? 0 : (recent.served.p99 ?? 0);
  }

  /** What the generation has served since it is judged; after its trial only as much as is needed to judge how it is now. */
  #spellsOf({ kind, generation, canary, since }: Watch, now: number): readonly ServedTally[] {
    const found: ServedTally[] = [];
    let requests = 0;
    for (const { at, by } of this.#spells.toReversed()) {
      if (at + spell <= since || (kind === 'rollout' && at < now - recently && requests >= canary.minRequests)) break;
      const tally = by.get(generation);
      if (tally === undefined) continue;
      found.push(tally);
      requests += tally.requests;
    }
    return found;
  }
}

/** @param spells the latest first */
function coldOf(fresh: ServedTally, spells: readonly ServedTally[], limit: number): Comparison['cold'] {
  const other = spells.findIndex((each) => each.slowerWithCold(limit) <= each.requests / 2);
  const slow = other === -1 ? spells : spells.slice(0, other);
  const [latest, earliest] = [slow.at(0)?.medianWithCold ?? 0, slow.at(-1)?.medianWithCold ?? 0];
  return { slower: fresh.slowerWithCold(limit), spells: latest < earliest * warming ? 0 : slow.length };
}

function sumOf(tallies: readonly ServedTally[]): ServedTally {
  const sum = new ServedTally();
  for (const tally of tallies) sum.addAll(tally);
  return sum;
}

/** What is to be judged now, by the fleet. */
function wantedWatch({ reload, probation, policy }: Fleet): Pick<Watch, 'kind' | 'generation' | 'canary'> | null {
  if (reload.state === 'canary') {
    const { canary } = reload.policy;
    const isTried = canary !== null && reload.stage.name === 'trial';
    return isTried ? { kind: 'trial', generation: reload.generation, canary } : null;
  }
  const { canary } = policy;
  if (canary === null) return null;
  if (reload.state === 'rolling' && reload.rollback === null)
    return { kind: 'rollout', generation: reload.generation, canary };
  return probation === null ? null : { kind: 'rollout', generation: probation.generation, canary };
}
