/**
 * The app's own metrics, of all workers as one. What counters and histograms have reached stays when their worker is gone;
 * its gauges go with it.
 */
import { type AppMetric, type AppSample, sizeOf, sizeOfSample } from '../../protocol/traffic.ts';
import type { Family } from './family.ts';

/** What is kept of workers that are gone: metrics, samples, and characters of them. */
const maxKeptMetrics = 2_000;
const maxKept = 50_000;
const maxKeptSize = 16 * 1024 * 1024;
/** Characters of the metrics of all workers that live. A worker's report beyond them changes nothing. */
const maxLivingSize = 128 * 1024 * 1024;
/** Samples that another master gets at a time. */
const piece = 2_000;

interface Kept {
  readonly metric: AppMetric;
  readonly samples: Map<string, { readonly sample: AppSample; value: number }>;
}

/** prom-client's aggregators, by name: how values of several workers become one. */
export type Aggregators = Readonly<
  Record<string, (metrics: readonly object[]) => { readonly values: readonly AppSample[] } | undefined>
>;

export class AppMetrics {
  readonly #living = new Map<number, readonly AppMetric[]>();
  readonly #kept = new Map<string, Kept>();
  #keptCount = 0;
  #keptSize = 0;
  readonly #sizes = new Map<number, number>();
  #livingSize = 0;

  set(id: number, metrics: readonly AppMetric[]): void {
    const size = metrics.reduce((sum, metric) => sum + sizeOf(metric), 0);
    const livingSize = this.#livingSize - (this.#sizes.get(id) ?? 0) + size;
    if (livingSize > maxLivingSize) return;
    this.#livingSize = livingSize;
    this.#sizes.set(id, size);
    this.#living.set(id, metrics);
  }

  /** How much is kept, whatever workers report; characters. */
  get size(): { readonly metrics: number; readonly samples: number; readonly kept: number; readonly living: number } {
    return { metrics: this.#kept.size, samples: this.#keptCount, kept: this.#keptSize, living: this.#livingSize };
  }

  /** The worker is gone. */
  retire(id: number): void {
    for (const metric of this.#living.get(id) ?? []) {
      if (metric.type !== 'gauge' && metric.aggregator === 'sum') this.#keep(metric);
    }
    this.#living.delete(id);
    this.#livingSize -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }

  /** What is kept of workers that are gone, in pieces. */
  kept(): AppMetric[][] {
    const pieces: AppMetric[][] = [];
    let room = 0;
    for (const { metric, samples } of this.#kept.values()) {
      const values = [...samples.values()].map(({ sample, value }) => ({ ...sample, value }));
      for (let at = 0; at < values.length; ) {
        if (room === 0) {
          pieces.push([]);
          room = piece;
        }
        const part = values.slice(at, at + room);
        pieces.at(-1)?.push({ ...metric, values: part });
        at += part.length;
        room -= part.length;
      }
    }
    return pieces;
  }

  /** Of the living, by worker. */
  living(): ReadonlyMap<number, readonly AppMetric[]> {
    return this.#living;
  }

  /** @param taken names that are the supervisor's: an app's metric of such a name gets a prefix */
  families(taken: ReadonlySet<string>, aggregators: Aggregators): Family[] {
    const byName = new Map<string, AppMetric[]>();
    // Generations of the app may differ in what a name means: the newest worker decides.
    const newestFirst = [...this.#living].sort(([a], [b]) => b - a).flatMap(([, metrics]) => metrics);
    for (const metric of [...newestFirst, ...this.kept().flat()]) {
      const same = byName.get(metric.name);
      if (same === undefined) byName.set(metric.name, [metric]);
      else if (same[0]?.type === metric.type) same.push(metric);
    }
    return [...byName.values()].flatMap((metrics) => familyOf(metrics, taken, aggregators));
  }

  #keep(metric: AppMetric): void {
    if (metric.values.length === 0) return;
    let kept = this.#kept.get(metric.name);
    if (kept === undefined || kept.metric.type !== metric.type) {
      this.#drop(kept);
      const empty = { ...metric, values: [] };
      const isFull = this.#kept.size >= maxKeptMetrics || this.#keptSize + sizeOf(empty) > maxKeptSize;
      if (kept === undefined && isFull) return;
      kept = { metric: empty, samples: new Map() };
      this.#kept.set(metric.name, kept);
      this.#keptSize += sizeOf(empty);
    }
    for (const sample of metric.values) {
      const key = keyOf(sample);
      const known = kept.samples.get(key);
      const size = 2 * sizeOfSample(sample);
      if (known !== undefined) known.value += sample.value;
      else if (this.#keptCount < maxKept && this.#keptSize + size <= maxKeptSize) {
        kept.samples.set(key, { sample, value: sample.value });
        this.#keptCount += 1;
        this.#keptSize += size;
      }
    }
  }

  #drop(kept: Kept | undefined): void {
    if (kept === undefined) return;
    this.#keptCount -= kept.samples.size;
    this.#keptSize -= sizeOf(kept.metric);
    for (const { sample } of kept.samples.values()) this.#keptSize -= 2 * sizeOfSample(sample);
  }
}

function familyOf(metrics: readonly AppMetric[], taken: ReadonlySet<string>, aggregators: Aggregators): Family[] {
  const [first] = metrics;
  if (first === undefined) return [];
  const values = aggregators[first.aggregator]?.(metrics)?.values ?? [];
  if (values.length === 0) return [];
  const { type, help } = first;
  const name = taken.has(first.name) ? `app_${first.name}` : first.name;
  const samples = values.flatMap(({ metricName, labels, value }) =>
    // The quantiles of several processes do not add up to a quantile of all.
    type === 'summary' && Object.hasOwn(labels, 'quantile')
      ? []
      : [{ suffix: (metricName ?? first.name).slice(first.name.length), labels, value }],
  );
  return [{ name, help, type, samples }];
}

function keyOf({ metricName, labels }: AppSample): string {
  return JSON.stringify([metricName, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
