/** The worker's own view of how long requests take: percentiles of the last seconds, in steps of 9 %. */

import { latencyBuckets as buckets, latencyAt, latencyBucket } from '../../protocol/latency-buckets.ts';

/** Beats that are looked back upon. */
const window = 20;

export class Latency {
  /** One row of buckets to each beat, round and round. */
  readonly #rows = Array.from({ length: window }, () => new Uint32Array(buckets));
  /** Requests in each row: rows without any are passed over, or an idle worker would spend its time on adding zeros. */
  readonly #counts = new Array<number>(window).fill(0);
  #row = 0;

  /** @returns the bucket that it is in */
  record(milliseconds: number): number {
    const index = latencyBucket(milliseconds);
    const row = this.#rows[this.#row];
    if (row === undefined) return index;
    row[index] = (row[index] ?? 0) + 1;
    this.#counts[this.#row] = (this.#counts[this.#row] ?? 0) + 1;
    return index;
  }

  /** Begins the next beat, forgets the oldest. */
  turn(): void {
    this.#row = (this.#row + 1) % window;
    if (this.#counts[this.#row] === 0) return;
    this.#counts[this.#row] = 0;
    this.#rows[this.#row]?.fill(0);
  }

  /** @returns milliseconds at each of these shares, or `null` if there were no requests */
  percentiles(shares: readonly number[]): readonly number[] | null {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return null;
    const sums = new Float64Array(buckets);
    for (const [which, row] of this.#rows.entries()) {
      if (this.#counts[which] === 0) continue;
      for (let index = 0; index < buckets; index++) sums[index] = (sums[index] ?? 0) + (row[index] ?? 0);
    }
    return shares.map((share) => {
      let left = Math.max(1, share * total);
      const index = sums.findIndex((count) => {
        left -= count;
        return left <= 0;
      });
      return latencyAt(index);
    });
  }
}
