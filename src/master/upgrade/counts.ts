/** Counts pass from one master to the next, so that they never go backwards: not on the page of metrics, nor at statsd. */
import type { Counted } from '../metrics/counted.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Statsd } from '../metrics/statsd.ts';

export class Counts {
  readonly #metrics: Metrics;
  readonly #statsd: Statsd;

  constructor(metrics: Metrics, statsd: Statsd) {
    this.#metrics = metrics;
    this.#statsd = statsd;
  }

  /** Passes all counts to the next master, and what is added to them from then on; `null` keeps them again. */
  bequeath(heir: ((counted: Counted) => void) | null): void {
    if (heir !== null) void this.#statsd.report();
    this.#statsd.silence(heir !== null);
    this.#metrics.bequeath(heir);
  }

  /** Goes on from what the old master has counted, and has told statsd; `null` says that there is no more of it. */
  inherit(counted: Counted | null): void {
    const isTotal = counted?.kind === 'traffic' && counted.total;
    if (isTotal) this.#statsd.skip(() => this.#metrics.inherit(counted));
    else this.#metrics.inherit(counted);
  }
}
