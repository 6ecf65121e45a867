/** The buckets of durations in which a worker finds its percentiles: narrow ones, in steps of 9 %, from 50 µs to 28 minutes. */

/** The first bucket ends here, milliseconds. */
const least = 0.05;
/** Buckets to a doubling. */
const fineness = 8;
/** How many there are; the last one takes what is longer. */
export const latencyBuckets = 200;

/** The bucket of a duration. @param milliseconds of it */
export function latencyBucket(milliseconds: number): number {
  return milliseconds <= least
    ? 0
    : Math.min(latencyBuckets - 1, Math.ceil(Math.log2(milliseconds / least) * fineness));
}

/** The end of a bucket, milliseconds: the longest duration in it. */
export function latencyAt(bucket: number): number {
  return least * 2 ** (bucket / fineness);
}
