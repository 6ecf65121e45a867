/** Calls what the app has registered for its end. */

/** Calls a hook of the app. What it throws, or rejects with, is printed and stops nothing. */
export async function callHook(run: () => unknown): Promise<void> {
  // A turn of microtasks later: even a hook that throws at once cannot disturb its caller.
  await Promise.resolve().then(run).catch(complain);
}

/** Prints an error of the app's. */
export function complain(error: unknown): void {
  console.error(error);
}
