/**
 * Signals sent to a worker itself. A terminal and a service manager signal the whole process group, and a worker must
 * leave it to the master to decide what happens: so none of these ends the worker, and none reaches the app before its
 * connections are drained.
 */
import type { EventFilter } from './process-events.ts';

/** Held back. SIGUSR1 is not among them: it belongs to Node, and SIGUSR2 and the rest to the app. */
const held = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGWINCH', 'SIGTTIN', 'SIGTTOU'] as const;

/** Keeps the default action, which for most is death, from happening. */
const placeholder = (): void => {};

/** @param onTerm called for each SIGTERM that arrives */
export function holdSignals(events: EventFilter, onTerm: () => void): void {
  for (const signal of held) {
    events.intercept(signal, () => {
      if (signal === 'SIGTERM') onTerm();
      return true;
    });
    rebind(signal);
    process.on(signal, placeholder);
  }
  process.on('removeListener', (name: string | symbol) => {
    const signal = held.find((known) => known === name);
    // process.removeAllListeners('SIGTERM') means the app's own.
    if (signal !== undefined && !process.listeners(signal).includes(placeholder)) process.on(signal, placeholder);
  });
}

/** The app's own handlers of a signal, as they were registered (`once` wrappers included). */
export function appHandlers(signal: 'SIGTERM' | 'SIGINT'): ((...args: unknown[]) => unknown)[] {
  return process.rawListeners(signal).filter((handler) => handler !== placeholder) as ((
    ...args: unknown[]
  ) => unknown)[];
}

/** Node binds a signal to `process.emit` as it is at the first listener, which an earlier preload may have added. */
function rebind(signal: (typeof held)[number]): void {
  const earlier = process.rawListeners(signal) as NodeJS.SignalsListener[];
  if (earlier.length === 0) return;
  process.removeAllListeners(signal);
  for (const listener of earlier) process.on(signal, listener);
}
