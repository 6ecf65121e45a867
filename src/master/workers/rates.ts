/** Requests per second of each worker, from the counts in its heartbeats. */

interface Sample {
  readonly requests: number;
  readonly at: number;
  readonly rate: number;
}

/** Weight of the newest second against what was before. */
const weight = 0.5;

export class Rates {
  readonly #samples = new Map<number, Sample>();

  /** @param at milliseconds */
  onBeat(id: number, requests: number, at: number): void {
    const last = this.#samples.get(id);
    const elapsed = last === undefined ? 0 : at - last.at;
    if (last === undefined || elapsed <= 0) {
      if (last === undefined) this.#samples.set(id, { requests, at, rate: 0 });
      return;
    }
    const newest = (Math.max(0, requests - last.requests) * 1_000) / elapsed;
    this.#samples.set(id, { requests, at, rate: last.rate * (1 - weight) + newest * weight });
  }

  of(id: number): number {
    return Math.round((this.#samples.get(id)?.rate ?? 0) * 10) / 10;
  }

  forget(id: number): void {
    this.#samples.delete(id);
  }
}
