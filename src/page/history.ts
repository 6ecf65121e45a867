/** What was seen of each slot lately: the lines of the sparklines. Nothing here touches the document. */
import type { Status, WorkerStatus } from '../protocol/status.ts';

/** Samples that are kept, one a second. */
export const kept = 120;
/** Milliseconds: a status that comes sooner shows a change, and is no sample. */
const between = 900;
/** Milliseconds without a sample that show as a gap. */
const gapAfter = 3_000;

export const measures = ['requests', 'latency', 'delay', 'memory'] as const;
export type Measure = (typeof measures)[number];

/** `null` where nothing is known. */
export type Sample = number | null;

export interface SlotView {
  readonly slot: number;
  /** Who holds the slot: the newest that serves, else the newest that boots, else the newest that leaves. */
  readonly holder: WorkerStatus;
  /** The others of the slot: a successor that boots, those that leave. */
  readonly others: readonly WorkerStatus[];
}

const rank = { ready: 0, booting: 1, draining: 2, killed: 3 } as const;

export function slotsOf(workers: readonly WorkerStatus[]): SlotView[] {
  const slots = new Map<number, WorkerStatus[]>();
  for (const worker of workers) slots.set(worker.slot, [...(slots.get(worker.slot) ?? []), worker]);
  return [...slots]
    .sort(([a], [b]) => a - b)
    .flatMap(([slot, all]) => {
      const [holder, ...others] = [...all].sort((a, b) => rank[a.phase] - rank[b.phase] || b.id - a.id);
      return holder === undefined ? [] : [{ slot, holder, others }];
    });
}

export function measuresOf(worker: WorkerStatus): Readonly<Record<Measure, Sample>> {
  const isUp = worker.phase === 'ready' || worker.phase === 'draining';
  return {
    requests: isUp ? worker.requestsPerSecond : null,
    latency: worker.latencyP99,
    delay: isUp ? worker.loopDelayP99 : null,
    memory: worker.rss === 0 ? null : worker.rss,
  };
}

export interface Totals {
  readonly requests: number;
  readonly inFlight: number;
  readonly connections: number;
  /** Of the worker in the middle, and of the slowest. */
  readonly p50: Sample;
  readonly p99: Sample;
  readonly delay: Sample;
  readonly memory: number;
  readonly cpu: number;
  readonly restarts: number;
}

export function totalsOf({ workers }: Status): Totals {
  const sum = (value: (worker: WorkerStatus) => number): number => workers.reduce((all, each) => all + value(each), 0);
  const known = (value: (worker: WorkerStatus) => Sample): number[] =>
    workers
      .map(value)
      .filter((each): each is number => each !== null)
      .sort((a, b) => a - b);
  const p50 = known(({ latencyP50 }) => latencyP50);
  const ready = workers.filter(({ phase }) => phase === 'ready');
  const slots = new Map(workers.map(({ slot, restarts }) => [slot, restarts]));
  return {
    requests: sum(({ requestsPerSecond }) => requestsPerSecond),
    inFlight: sum(({ inFlight }) => inFlight),
    connections: sum(({ connections }) => connections),
    p50: p50[Math.floor(p50.length / 2)] ?? null,
    p99: known(({ latencyP99 }) => latencyP99).at(-1) ?? null,
    delay: ready.length === 0 ? null : Math.max(...ready.map(({ loopDelayP99 }) => loopDelayP99)),
    memory: sum(({ rss }) => rss),
    cpu: sum(({ cpu }) => cpu),
    restarts: [...slots.values()].reduce((all, each) => all + each, 0),
  };
}

/** Samples of a slot, and at which of them another worker took it over. */
export interface SlotLines {
  readonly lines: Readonly<Record<Measure, Sample[]>>;
  readonly holders: number[];
}

export const totalMeasures = ['requests', 'inFlight', 'p99', 'delay', 'memory', 'cpu'] as const;
export type TotalMeasure = (typeof totalMeasures)[number];

export class History {
  readonly #slots = new Map<number, SlotLines>();
  readonly totals: Readonly<Record<TotalMeasure, Sample[]>> = {
    requests: [],
    inFlight: [],
    p99: [],
    delay: [],
    memory: [],
    cpu: [],
  };
  #at = Number.NEGATIVE_INFINITY;

  /**
   * @param now milliseconds
   * @returns whether it was time for a sample
   */
  add(status: Status, now: number): boolean {
    const elapsed = now - this.#at;
    if (elapsed < between) return false;
    this.#at = now;
    const totals = totalsOf(status);
    const isGap = Number.isFinite(elapsed) && elapsed > gapAfter;
    for (const measure of totalMeasures) push(this.totals[measure], totals[measure], isGap);
    const slots = slotsOf(status.workers);
    const present = new Set(slots.map(({ slot }) => slot));
    for (const slot of this.#slots.keys()) if (!present.has(slot)) this.#slots.delete(slot);
    for (const { slot, holder } of slots) {
      const { lines, holders } = this.of(slot);
      const sample = measuresOf(holder);
      for (const measure of measures) push(lines[measure], sample[measure], isGap);
      if (isGap) holders.push(holder.id);
      holders.push(holder.id);
      holders.splice(0, holders.length - kept);
    }
    return true;
  }

  of(slot: number): SlotLines {
    const known = this.#slots.get(slot);
    if (known !== undefined) return known;
    const made: SlotLines = { lines: { requests: [], latency: [], delay: [], memory: [] }, holders: [] };
    this.#slots.set(slot, made);
    return made;
  }

  /** The largest sample of any slot: all rows are drawn to one scale, so that they can be compared. */
  highest(measure: Measure): number {
    let highest = 0;
    for (const { lines } of this.#slots.values())
      for (const sample of lines[measure]) if (sample !== null && sample > highest) highest = sample;
    return highest;
  }

  clear(): void {
    this.#slots.clear();
    for (const measure of totalMeasures) this.totals[measure].length = 0;
    this.#at = Number.NEGATIVE_INFINITY;
  }
}

function push(line: Sample[], sample: Sample, isGap: boolean): void {
  if (isGap) line.push(null);
  line.push(sample);
  line.splice(0, line.length - kept);
}
