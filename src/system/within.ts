/** Waiting for something, but not for ever. */

/**
 * Waits for a promise, at most this long. The timer keeps no process alive, and is gone once the promise settles.
 *
 * @param ms milliseconds
 * @returns what the promise gives, or `undefined` if the time is up first
 * @throws whatever the promise rejects with in time; a later rejection is ignored
 */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms).unref();
  });
  try {
    return await Promise.race([promise, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
