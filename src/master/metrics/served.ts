/** What workers have served, as a verdict on them needs it. */
import type { Served } from '../../core/model.ts';
import { latencyAt, latencyBucket, latencyBuckets } from '../../protocol/latency-buckets.ts';
import { durationBounds, type TrafficDelta } from '../../protocol/traffic.ts';

export class ServedTally {
  requests = 0;
  errors = 0;
  timed = 0;
  readonly #latencies = new Uint32Array(latencyBuckets);
  /** Of those that are not timed. */
  readonly #cold = new Uint32Array(latencyBuckets);

  /** @param isTimed whether the durations count: a worker that has just been started is slow, whatever its release is */
  add(delta: TrafficDelta, isTimed: boolean): void {
    for (const { status, buckets } of delta.series) {
      const count = buckets.reduce((sum, each) => sum + each, 0);
      this.requests += count;
      if (status >= 500 && status < 600) this.errors += count;
    }
    for (const [bucket, count] of latenciesOf(delta))
      if (isTimed) this.#time(bucket, count);
      else addTo(this.#cold, bucket, count);
  }

  addAll(other: ServedTally): void {
    this.requests += other.requests;
    this.errors += other.errors;
    for (const [bucket, count] of other.#latencies.entries()) if (count > 0) this.#time(bucket, count);
    for (const [bucket, count] of other.#cold.entries()) if (count > 0) addTo(this.#cold, bucket, count);
  }

  /** Those that took longer for sure: of a bucket that begins before the limit, none. @param limit milliseconds */
  slowerThan(limit: number): number {
    return slowerIn(this.#latencies, limit);
  }

  /** The same of all, whether they are timed or not. */
  slowerWithCold(limit: number): number {
    return slowerIn(this.#latencies, limit) + slowerIn(this.#cold, limit);
  }

  /** Of all, milliseconds; 0 if there are none. */
  get medianWithCold(): number {
    const all = this.#latencies.map((count, bucket) => count + (this.#cold[bucket] ?? 0));
    return percentileOf(all, 0.5) ?? 0;
  }

  get served(): Served {
    const { requests, errors, timed } = this;
    return { requests, errors, timed, p99: percentileOf(this.#latencies, 0.99) ?? percentileOf(this.#cold, 0.99) };
  }

  #time(bucket: number, count: number): void {
    addTo(this.#latencies, bucket, count);
    this.timed += count;
  }
}

function addTo(latencies: Uint32Array, bucket: number, count: number): void {
  latencies[bucket] = (latencies[bucket] ?? 0) + count;
}

/** @returns milliseconds; `null` if there is none */
function percentileOf(latencies: Uint32Array, percentile: number): number | null {
  let left = Math.ceil(latencies.reduce((sum, count) => sum + count, 0) * percentile);
  if (left === 0) return null;
  const bucket = latencies.findIndex((count) => {
    left -= count;
    return left <= 0;
  });
  return latencyAt(bucket);
}

function slowerIn(latencies: Uint32Array, limit: number): number {
  let slower = 0;
  for (const [bucket, count] of latencies.entries())
    if (count > 0 && bucket > 0 && latencyAt(bucket - 1) >= limit) slower += count;
  return slower;
}

/** A generation that was started without the setting has only the histogram: each request took as long as its bucket ends. */
function latenciesOf({ latencies, series }: TrafficDelta): readonly (readonly [bucket: number, count: number])[] {
  if (latencies !== undefined) return latencies;
  return series.flatMap(({ buckets }) =>
    buckets.flatMap((count, index): [number, number][] => {
      const bound = durationBounds[index];
      return count === 0 ? [] : [[bound === undefined ? latencyBuckets - 1 : latencyBucket(bound * 1_000), count]];
    }),
  );
}
