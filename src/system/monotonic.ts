/** The time that passes, for those who measure it. */

const [startSeconds] = process.hrtime();

/**
 * Milliseconds of a clock that never goes back; what it counts from has no meaning.
 *
 * Not `performance.now()`, which in Node loads all of perf_hooks: 1 to 3 MB of a process that needs nothing else of it.
 */
export function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds - startSeconds) * 1_000 + nanoseconds / 1e6;
}
