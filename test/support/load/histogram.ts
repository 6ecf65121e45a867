/** Latencies in buckets 2 % wide: bounded memory, mergeable, exact maximum. */

export interface HistogramData {
  /** Bucket index and count. */
  readonly buckets: readonly (readonly [number, number])[];
  readonly max: number;
}

const growth = Math.log(1.02);
/** Milliseconds; what is faster falls into the first bucket. */
const smallest = 0.01;

export class Histogram {
  readonly #buckets = new Map<number, number>();
  max = 0;
  count = 0;

  add(milliseconds: number): void {
    const index = Math.max(0, Math.round(Math.log(milliseconds / smallest) / growth));
    this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + 1);
    this.max = Math.max(this.max, milliseconds);
    this.count++;
  }

  /** The value below which this share (0 to 1) of the values lies; 0 where there are none. */
  quantile(share: number): number {
    let left = Math.ceil(this.count * share);
    for (const [index, times] of [...this.#buckets].sort((a, b) => a[0] - b[0])) {
      left -= times;
      if (left <= 0) return Math.min(this.max, smallest * Math.exp(index * growth));
    }
    return this.max;
  }

  merge(other: HistogramData): void {
    for (const [index, times] of other.buckets) {
      this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + times);
      this.count += times;
    }
    this.max = Math.max(this.max, other.max);
  }

  toJSON(): HistogramData {
    return { buckets: [...this.#buckets], max: this.max };
  }
}
