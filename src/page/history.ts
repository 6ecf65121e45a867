/** What was seen of each slot lately: the lines of the sparklines. Nothing here touches the document. */
import { type FigureTable, figures } from '../protocol/figures.ts';
import { valueIn } from '../protocol/figures-row.ts';
import type { Status, WorkerStatus } from '../protocol/status.ts';

/** Samples that are kept, one a second. */
export const kept = 120;
/** Milliseconds: a status that comes sooner shows a change, and is no sample. */
const between = 900;
/** Milliseconds without a sample that show as a gap. */
const gapAfter = 3_000;

/** `null` if nothing is known. */
export type Sample = number | null;

export interface SlotView {
  readonly slot: number;
  /** The worker that holds the slot: the newest that serves, else the newest that boots, else the newest that leaves. */
  readonly holder: WorkerStatus;
  /** The others of the slot: a successor that boots, those that leave. */
  readonly others: readonly WorkerStatus[];
}

const rank = { ready: 0, joining: 1, booting: 2, spare: 3, draining: 4, killed: 5 } as const;

export function slotsOf(workers: readonly WorkerStatus[]): SlotView[] {
  const slots = new Map<number, WorkerStatus[]>();
  for (const worker of workers)
    if (worker.slot !== null) slots.set(worker.slot, [...(slots.get(worker.slot) ?? []), worker]);
  return [...slots]
    .sort(([a], [b]) => a - b)
    .flatMap(([slot, all]) => {
      const [holder, ...others] = [...all].sort((a, b) => rank[a.phase] - rank[b.phase] || b.id - a.id);
      return holder === undefined ? [] : [{ slot, holder, others }];
    });
}

type Spark = 'serving' | 'living';

/** The figures that have a sparkline, by name: of the time in which the worker can serve, or of all its life. */
export function sparksOf(table: FigureTable = figures): ReadonlyMap<string, Spark> {
  return new Map(
    Object.entries(table).flatMap(([name, { page }]) => (page?.spark === undefined ? [] : [[name, page.spark]])),
  );
}

const sparks = sparksOf();

/** What a worker adds to the line of a figure. */
function sampleOf(worker: WorkerStatus, name: string): Sample {
  const value = valueIn(worker, name);
  const isServing = worker.phase === 'ready' || worker.phase === 'draining';
  return typeof value === 'number' && (isServing || sparks.get(name) === 'living') ? value : null;
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
  /** By the figure's name. */
  readonly lines: ReadonlyMap<string, Sample[]>;
  readonly holders: number[];
}

const totalMeasures = ['requests', 'inFlight', 'p99', 'delay', 'memory', 'cpu'] as const;
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
      for (const [name, line] of lines) push(line, sampleOf(holder, name), isGap);
      if (isGap) holders.push(holder.id);
      holders.push(holder.id);
      holders.splice(0, holders.length - kept);
    }
    return true;
  }

  of(slot: number): SlotLines {
    const known = this.#slots.get(slot);
    if (known !== undefined) return known;
    const made: SlotLines = { lines: new Map([...sparks.keys()].map((name) => [name, []])), holders: [] };
    this.#slots.set(slot, made);
    return made;
  }

  /** The largest sample of any slot: all rows are drawn to one scale, so that they can be compared. */
  highest(name: string): number {
    let highest = 0;
    for (const { lines } of this.#slots.values())
      for (const sample of lines.get(name) ?? []) if (sample !== null && sample > highest) highest = sample;
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
