/**
 * Reads metrics of prom-client one by one: one that fails, or takes its time to be collected, holds up no other, and
 * stays at what it was.
 */
import type { AppMetric } from '../../protocol/traffic.ts';
import { within } from '../../system/within.ts';

interface Metric {
  get(): Promise<unknown>;
  readonly name?: unknown;
}

export class MetricReader {
  readonly #complain: (what: string) => void;
  readonly #last = new WeakMap<object, AppMetric>();
  /** Metrics that are still being collected. */
  readonly #pending = new Map<object, Promise<unknown>>();

  constructor(complain: (what: string) => void) {
    this.#complain = complain;
  }

  /** @param patience milliseconds that each may take */
  async read(
    metrics: readonly unknown[],
    defaultLabels: Readonly<Record<string, unknown>>,
    patience: number,
  ): Promise<readonly AppMetric[]> {
    const read = await Promise.all(metrics.map((metric) => this.#readOne(metric as Metric, patience)));
    const isPlain = Object.keys(defaultLabels).length === 0;
    return read.flatMap((metric) => {
      if (metric === null) return [];
      if (isPlain) return [metric];
      // As in prom-client the labels of the sample itself win.
      return [
        {
          ...metric,
          values: metric.values.map((sample) => ({
            ...sample,
            labels: { ...(defaultLabels as Record<string, string>), ...sample.labels },
          })),
        },
      ];
    });
  }

  /** Waits for what is being collected, for so many milliseconds. @returns whether there was any */
  async settle(patience: number): Promise<boolean> {
    if (this.#pending.size === 0) return false;
    await within(Promise.all(this.#pending.values()), patience);
    return true;
  }

  async #readOne(metric: Metric, patience: number): Promise<AppMetric | null> {
    if (!this.#pending.has(metric)) await this.#collect(metric, patience);
    return this.#last.get(metric) ?? null;
  }

  async #collect(metric: Metric, patience: number): Promise<void> {
    const collected = (async () => metric.get())()
      .then(
        (value) => void this.#last.set(metric, value as AppMetric),
        (error: unknown) => this.#complain(`the app's metric ${String(metric.name)} cannot be read: ${String(error)}`),
      )
      .finally(() => this.#pending.delete(metric));
    this.#pending.set(metric, collected);
    await within(collected, patience);
  }
}
