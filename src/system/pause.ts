/** Waiting for time to pass. node:timers/promises has the same, and costs every process that loads it memory. */

export interface PauseOptions {
  /** Whether the wait keeps the process alive if nothing else does. Default: yes, as with Node's timers. */
  readonly ref?: boolean;
}

/** @param milliseconds to wait, at least */
export function pause(milliseconds: number, { ref = true }: PauseOptions = {}): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    if (!ref) timer.unref();
  });
}

/** Waits until the event loop has been round once, the poll phase included. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
