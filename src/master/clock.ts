/**
 * The running clock: monotonic milliseconds that stand still while the master itself was stopped (SIGSTOP, a suspended
 * machine), so that no worker is condemned for a time in which its heartbeats were not read.
 */
import { monotonic } from '../system/monotonic.ts';
export class RunningClock {
  readonly #read: () => number;
  #lost = 0;
  #expected = Number.POSITIVE_INFINITY;
  #late = 0;

  /** @param read monotonic milliseconds */
  constructor(read: () => number = monotonic) {
    this.#read = read;
  }

  now(): number {
    return this.#read() - this.#lost;
  }

  /** How late the master ran again the last time, milliseconds; whether or not it was taken out of the clock. */
  get late(): number {
    return this.#late;
  }

  /** Says when the master expects to run again, in milliseconds from now. */
  expect(within: number): void {
    this.#expected = this.#read() + within;
  }

  /**
   * Called when the master runs again. What it is late beyond `tolerance` was time in which it did not run.
   *
   * @returns the milliseconds that were taken out of the clock
   */
  resume(tolerance = 500): number {
    const late = this.#read() - this.#expected;
    this.#late = Math.max(0, late);
    this.#expected = Number.POSITIVE_INFINITY;
    if (late <= tolerance) return 0;
    this.#lost += late;
    return late;
  }
}
