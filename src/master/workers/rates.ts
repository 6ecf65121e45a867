/**
 * Requests per second of each worker, from the counts in its heartbeats, by the worker's own clock: when a master has not
 * run for a while, it reads in one moment what the workers have said in many.
 */

interface Sample {
  readonly requests: number;
  /** Of the worker's clock, milliseconds. */
  readonly at: number;
  readonly rate: number;
}

/** Weight of the newest heartbeat against what was before. */
const weight = 0.5;
/** Milliseconds of the worker's clock; over less than this a rate says nothing, and counts go to the next heartbeat. */
const shortest = 50;
/** No worker serves more; a count is the worker's own word. */
const most = 1_000_000;

export class Rates {
  readonly #samples = new Map<number, Sample>();

  /** @param at milliseconds of the worker's monotonic clock; `null` if it does not say */
  onBeat(id: number, requests: number, at: number | null): void {
    if (at === null) return;
    const last = this.#samples.get(id);
    if (last === undefined || at < last.at) {
      // A clock that goes backwards is none: from here on it is another one.
      this.#samples.set(id, { requests, at, rate: last?.rate ?? 0 });
      return;
    }
    const elapsed = at - last.at;
    if (elapsed < shortest) return;
    const newest = Math.min(most, (Math.max(0, requests - last.requests) * 1_000) / elapsed);
    this.#samples.set(id, { requests, at, rate: last.rate * (1 - weight) + newest * weight });
  }

  of(id: number): number {
    return Math.round((this.#samples.get(id)?.rate ?? 0) * 10) / 10;
  }

  forget(id: number): void {
    this.#samples.delete(id);
  }
}
