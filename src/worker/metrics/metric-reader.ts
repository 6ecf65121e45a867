/**
 * Reads metrics of prom-client one by one: one that fails, or takes its time to be collected, holds up no other, and
 * stays at what it was.
 */
import type { AppMetric } from '../../ipc/traffic.ts';

interface Metric {
  get(): Promise<unknown>;
  readonly name?: unknown;
}

export class MetricReader {
  readonly #complain: (what: string) => void;
  readonly #last = new WeakMap<object, AppMetric>();
  /** Those that are being collected still. */
  readonly #pending = new WeakSet<object>();
  readonly #waiting = new Set<() => void>();

  constructor(complain: (what: string) => void) {
    this.#complain = complain;
  }

  /** @param within milliseconds that each may take */
  async read(
    metrics: readonly unknown[],
    defaultLabels: Readonly<Record<string, unknown>>,
    within: number,
  ): Promise<readonly AppMetric[]> {
    const read = await Promise.all(metrics.map((metric) => this.#readOne(metric as Metric, within)));
    const isPlain = Object.keys(defaultLabels).length === 0;
    return read.flatMap((metric) => {
      if (metric === null) return [];
      if (isPlain) return [metric];
      // As prom-client has it: what the sample says itself holds.
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

  /** Whoever waits does so for no longer than this, milliseconds. */
  hurry(within: number): void {
    setTimeout(() => {
      for (const giveUp of this.#waiting) giveUp();
    }, within).unref();
  }

  async #readOne(metric: Metric, within: number): Promise<AppMetric | null> {
    if (!this.#pending.has(metric)) await this.#collect(metric, within);
    return this.#last.get(metric) ?? null;
  }

  async #collect(metric: Metric, within: number): Promise<void> {
    this.#pending.add(metric);
    const collected = (async () => metric.get())()
      .then(
        (value) => void this.#last.set(metric, value as AppMetric),
        (error: unknown) => this.#complain(`the app's metric ${String(metric.name)} cannot be read: ${String(error)}`),
      )
      .finally(() => this.#pending.delete(metric));
    let giveUp = (): void => {};
    const patience = new Promise<void>((resolve) => {
      giveUp = resolve;
      this.#waiting.add(giveUp);
    });
    const timer = setTimeout(giveUp, within);
    timer.unref();
    await Promise.race([collected, patience]);
    clearTimeout(timer);
    this.#waiting.delete(giveUp);
  }
}
