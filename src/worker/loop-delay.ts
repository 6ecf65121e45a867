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

export class LoopDelay {
  readonly #seldom = new Seldom();
  /** Made when there is work for the first time: it is a third of a megabyte. */
  #close: IntervalHistogram | null = null;
  #isClose = false;
  #busyFor = 0;
  #idleFor = 0;

  start(): void {
    this.#seldom.begin();
  }

  /**
   * @param utilisation of the loop since the last call, 0 to 1
   * @returns the delays since the last call
   */
  take(utilisation: number): Delay {
    const histogram = this.#isClose ? this.#close : null;
    const late =
      histogram === null
        ? this.#seldom.take()
        : { p99: lateness(histogram.percentile(99), close), max: lateness(histogram.max, close) };
    // Node leaves out what lies between this and its next look.
    histogram?.reset();
    const isBusy = utilisation >= busyFrom;
    this.#busyFor = isBusy ? this.#busyFor + 1 : 0;
    this.#idleFor = isBusy ? 0 : this.#idleFor + 1;
    if (!this.#isClose && this.#busyFor >= busyAfter) this.#lookClosely();
    else if (this.#isClose && this.#idleFor >= idleAfter) this.#lookSeldom();
    return late;
  }

  #lookClosely(): void {
    this.#isClose = true;
    this.#seldom.end();
    this.#close ??= monitorEventLoopDelay({ resolution: close });
    this.#close.reset();
    this.#close.enable();
  }

  #lookSeldom(): void {
    this.#isClose = false;
    this.#close?.disable();
    this.#seldom.begin();
  }
}

/**
 * Looks seldom, and never begins anew: Node leaves out the first time after that, which would be a fifth of all. What is
 * new is the difference of two sums. While there is little to do it is one delay, and the jitter of a few others.
 */
class Seldom {
  readonly #histogram = monitorEventLoopDelay({ resolution: seldom });
  #last = { count: 0, sum: 0 };

  begin(): void {
    this.#histogram.reset();
    this.#last = { count: 0, sum: 0 };
    this.#histogram.enable();
  }

  end(): void {
    this.#histogram.disable();
  }

  take(): Delay {
    const { count, mean, max } = this.#histogram;
    if (count === this.#last.count) return { p99: 0, max: 0 };
    const sum = mean * count;
    // On average, as often as it has looked.
    const looks = count - this.#last.count;
    const late = Math.min(lateness((sum - this.#last.sum) / looks, seldom) * looks, lateness(max, seldom));
    this.#last = { count, sum };
    return { p99: late, max: late };
  }
}

/** An empty histogram has a minimum of -1 and no maximum. @param nanoseconds of the histogram */
function lateness(nanoseconds: number, resolution: number): number {
  const late = nanoseconds / 1e6 - resolution;
  return Number.isFinite(late) && late > 0 ? late : 0;
}
