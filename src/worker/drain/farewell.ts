/** The last thing a worker does: the app's own SIGTERM listeners, then the exit. */
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { registry } from '../../app/registry.ts';
import { appListeners } from '../signals.ts';

/** Milliseconds between two looks at whether the app is done. */
const step = 20;
/** Milliseconds without a change after which a listener that works with callbacks is taken to be done. */
const quietTime = 400;

/**
 * Runs the app's SIGTERM listeners, or where it has none its SIGINT listeners, and waits for what they begin.
 *
 * @param deadline of `performance.now()`
 */
export async function sayFarewell(deadline: number): Promise<void> {
  const before = countResources();
  const signal = appListeners('SIGTERM').length > 0 ? 'SIGTERM' : 'SIGINT';
  const listeners = appListeners(signal);
  const shutdowns = registry().shutdowns.map((run) => Promise.resolve().then(run).catch(complain));
  if (shutdowns.length > 0) await settled(shutdowns, deadline);
  if (listeners.length === 0) return;
  const results = listeners.map((listener) => call(listener, signal));
  const promises = results.filter((result) => result !== null);
  if (promises.length > 0) await settled(promises, deadline);
  // A listener of the `server.close(() => pool.end(() => process.exit()))` kind says nothing of when it is done.
  if (promises.length < listeners.length) await untilQuiet(before, deadline);
}

async function settled(promises: readonly Promise<unknown>[], deadline: number): Promise<void> {
  const timer = new AbortController();
  const timeout = sleep(Math.max(0, deadline - performance.now()), undefined, { signal: timer.signal });
  await Promise.race([Promise.all(promises), timeout]);
  timeout.catch(() => {});
  timer.abort();
}

/** @returns what to wait for, or `null` */
function call(listener: (...args: unknown[]) => unknown, signal: 'SIGTERM' | 'SIGINT'): Promise<unknown> | null {
  try {
    const result = Reflect.apply(listener, process, [signal, constants.signals[signal]]);
    return isThenable(result) ? Promise.resolve(result).catch(complain) : null;
  } catch (error) {
    complain(error);
    return null;
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function complain(error: unknown): void {
  console.error(error);
}

/** Waits while there is more under way than before, and until nothing has changed for a while. */
async function untilQuiet(before: ReadonlyMap<string, number>, deadline: number): Promise<void> {
  let last = countResources();
  let changedAt = performance.now();
  while (performance.now() < deadline) {
    if (last.size === 0) return;
    await sleep(Math.min(step, Math.max(1, deadline - performance.now())));
    const now = countResources();
    if (!isSame(now, last)) changedAt = performance.now();
    last = now;
    const hasMore = [...now].some(([type, count]) => count > (before.get(type) ?? 0));
    if (!hasMore && performance.now() - changedAt >= quietTime) return;
  }
}

/** What keeps the process alive, by type. */
function countResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (type === 'PipeWrap' || type === 'TTYWrap') continue;
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

function isSame(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([type, count]) => b.get(type) === count);
}
