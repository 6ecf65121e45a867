/**
 * The app's own metrics, of all workers as one. What counters and histograms have reached stays when their worker is gone;
 * its gauges go with it.
 */
import type { AppMetric, AppSample } from '../../protocol/traffic.ts';
import type { Family } from './family.ts';

/** Samples that are kept of workers that are gone. */
const maxKept = 50_000;

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

  set(id: number, metrics: readonly AppMetric[]): void {
    this.#living.set(id, metrics);
  }

  /** The worker is gone. */
  retire(id: number): void {
    for (const metric of this.#living.get(id) ?? []) {
      if (metric.type !== 'gauge' && metric.aggregator === 'sum') this.#keep(metric);
    }
    this.#living.delete(id);
  }

  /** What is kept of workers that are gone. */
  kept(): AppMetric[] {
    return [...this.#kept.values()].map(({ metric, samples }) => ({
      ...metric,
      values: [...samples.values()].map(({ sample, value }) => ({ ...sample, value })),
    }));
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
    for (const metric of [...newestFirst, ...this.kept()]) {
      const same = byName.get(metric.name);
      if (same === undefined) byName.set(metric.name, [metric]);
      else if (same[0]?.type === metric.type) same.push(metric);
    }
    return [...byName.values()].flatMap((metrics) => familyOf(metrics, taken, aggregators));
  }

  #keep(metric: AppMetric): void {
    let kept = this.#kept.get(metric.name);
    if (kept === undefined || kept.metric.type !== metric.type) {
      this.#keptCount -= kept?.samples.size ?? 0;
      kept = { metric: { ...metric, values: [] }, samples: new Map() };
      this.#kept.set(metric.name, kept);
    }
    for (const sample of metric.values) {
      const key = keyOf(sample);
      const known = kept.samples.get(key);
      if (known !== undefined) known.value += sample.value;
      else if (this.#keptCount < maxKept) {
        kept.samples.set(key, { sample, value: sample.value });
        this.#keptCount += 1;
      }
    }
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
