/**
 * How late the event loop is. Node looks at its clock again and again, which is most of what an idle worker costs: so it
 * looks seldom while the loop has little to do, and closely as soon as it has.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** Milliseconds between two looks at the clock; what a histogram records begins there. */
const close = 20;
const seldom = 100;
/** Share of the time that the loop must have worked to be looked at closely. */
const busyFrom = 0.02;
/** So many times in a row, of {@link LoopDelay.take}: a boot is work once. */
const busyAfter = 2;
/** So many times in a row without work, and it is idle again. */
const idleAfter = 10;

/** Milliseconds. */
export interface Delay {
  readonly p99: number;
  readonly max: number;
}

interface Monitor {
  readonly histogram: IntervalHistogram;
  readonly resolution: number;
}

export class LoopDelay {
  readonly #seldom = monitor(seldom);
  /** Made when there is work for the first time: it is a third of a megabyte. */
  #close: Monitor | null = null;
  #current: Monitor | null = null;
  #busyFor = 0;
  #idleFor = 0;

  start(): void {
    this.#watch(this.#seldom);
  }

  /**
   * @param utilisation of the loop since the last call, 0 to 1
   * @returns the delays since the last call
   */
  take(utilisation: number): Delay {
    const current = this.#current;
    if (current === null) return { p99: 0, max: 0 };
    const { histogram, resolution } = current;
    const late = { p99: lateness(histogram.percentile(99), resolution), max: lateness(histogram.max, resolution) };
    const isBusy = utilisation >= busyFrom;
    this.#busyFor = isBusy ? this.#busyFor + 1 : 0;
    this.#idleFor = isBusy ? 0 : this.#idleFor + 1;
    if (this.#busyFor >= busyAfter) {
      this.#close ??= monitor(close);
      this.#watch(this.#close);
    } else if (this.#idleFor >= idleAfter) this.#watch(this.#seldom);
    this.#current?.histogram.reset();
    return late;
  }

  #watch(next: Monitor): void {
    if (next === this.#current) return;
    this.#current?.histogram.disable();
    this.#current = next;
    next.histogram.enable();
  }
}

function monitor(resolution: number): Monitor {
  return { histogram: monitorEventLoopDelay({ resolution }), resolution };
}

/** An empty histogram has a minimum of -1 and no maximum. @param nanoseconds of the histogram */
function lateness(nanoseconds: number, resolution: number): number {
  const late = nanoseconds / 1e6 - resolution;
  return Number.isFinite(late) && late > 0 ? late : 0;
}
