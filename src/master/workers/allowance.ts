/** How much of something a worker may use: a token bucket. Bursts are fine, a flood is not. */
export class Allowance {
  readonly #rate: number;
  readonly #burst: number;
  #left: number;
  #refilledAt: number;

  /**
   * @param rate per second, on average
   * @param burst at once
   * @param now milliseconds, of a clock that never goes back
   */
  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#left = burst;
    this.#refilledAt = now;
  }

  /** @returns whether there was as much left */
  take(amount: number, now: number): boolean {
    const refill = (Math.max(0, now - this.#refilledAt) * this.#rate) / 1_000;
    this.#left = Math.min(this.#burst, this.#left + refill) - amount;
    this.#refilledAt = now;
    return this.#left >= 0;
  }
}
