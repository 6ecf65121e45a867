/** The last thing a worker does: the app's own SIGTERM handlers, then the exit. */
import { registry } from '../../app/registry.ts';
import { pause } from '../../system/pause.ts';
import { within } from '../../system/within.ts';
import { appHandlers } from '../signals.ts';
import { callHook, complain } from './app-hook.ts';
import { lastWords } from './plan.ts';

/** Milliseconds between two looks at whether the app is done. */
const lookEvery = 20;
/** Milliseconds without a change after which a handler that works with callbacks is taken to be done. */
const quietTime = 400;

/**
 * Ends the process with status 0 once all steps are done, one after the other, or when the time is up.
 *
 * @param deadline of the drain, of `performance.now()`; the steps get the time by which they should be done, which may be
 *   a little later
 */
export function leave(deadline: number, steps: readonly ((end: number) => Promise<void> | undefined)[]): void {
  const end = Math.max(deadline, performance.now() + lastWords);
  // Whatever the steps do. It does not keep alive a process that has nothing else left.
  setTimeout(() => process.exit(0), end - performance.now() + lastWords).unref();
  const takeSteps = async (): Promise<void> => {
    for (const step of steps) await step(end);
  };
  void takeSteps().finally(() => process.exit(0));
}

/**
 * Runs the app's SIGTERM handlers, or if it has none its SIGINT handlers, and waits for what they begin.
 *
 * @param deadline of `performance.now()`
 */
export async function sayFarewell(deadline: number): Promise<void> {
  const before = countResources();
  const signal = appHandlers('SIGTERM').length > 0 ? 'SIGTERM' : 'SIGINT';
  const handlers = appHandlers(signal);
  const shutdowns = registry().shutdowns.map(callHook);
  if (shutdowns.length > 0) await settled(shutdowns, deadline);
  if (handlers.length === 0) return;
  const results = handlers.map((handler) => call(handler, signal));
  const promises = results.filter((result) => result !== null);
  if (promises.length > 0) await settled(promises, deadline);
  // A handler of the `server.close(() => pool.end(() => process.exit()))` kind says nothing of when it is done.
  if (promises.length < handlers.length) await untilQuiet(before, deadline);
}

/** Waits for all of them; what is still to be run after them keeps the process alive meanwhile. */
async function settled(promises: readonly Promise<unknown>[], deadline: number): Promise<void> {
  await within(Promise.all(promises), deadline - performance.now(), { ref: true });
}

/** @returns what to wait for, or `null` */
function call(handler: (...args: unknown[]) => unknown, signal: 'SIGTERM' | 'SIGINT'): Promise<unknown> | null {
  try {
    const { constants } = process.getBuiltinModule('node:os');
    const result = Reflect.apply(handler, process, [signal, constants.signals[signal]]);
    return isThenable(result) ? Promise.resolve(result).catch(complain) : null;
  } catch (error) {
    complain(error);
    return null;
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** Waits while there is more under way than before, and until nothing has changed for a while. */
async function untilQuiet(before: ReadonlyMap<string, number>, deadline: number): Promise<void> {
  let last = countResources();
  let changedAt = performance.now();
  while (performance.now() < deadline) {
    if (last.size === 0) return;
    await pause(Math.min(lookEvery, Math.max(1, deadline - performance.now())));
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
