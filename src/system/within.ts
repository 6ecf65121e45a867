/** Waiting for something, but not for ever. */

/** What {@link within} resolves to if the time is up first. */
export const timedOut: unique symbol = Symbol('prefork.timedOut');

export interface WithinOptions {
  /** Whether the wait keeps the process alive if nothing else does. Default: no, as with `unref()`ed timers of Node. */
  readonly ref?: boolean;
}

/**
 * Waits for a promise, at most so long. What the promise does later has no effect: a late rejection is no unhandled one.
 * The timer is cleared as soon as the promise settles.
 *
 * @param milliseconds 0 or less still lets what is settled already win
 * @returns the promise's value, or {@link timedOut}
 * @throws what the promise rejects with, in time
 */
export async function within<T>(
  promise: PromiseLike<T>,
  milliseconds: number,
  { ref = false }: WithinOptions = {},
): Promise<T | typeof timedOut> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<typeof timedOut>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, milliseconds), timedOut);
    if (!ref) timer.unref();
  });
  try {
    return await Promise.race([promise, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
