/** What an app may tell prefork. All of it is harmless under plain node. */
import { type CheckResult, runChecks } from './checks.ts';
import { registry } from './registry.ts';

export type { CheckResult } from './checks.ts';

export interface CheckOptions {
  /** Seconds after which it counts as failed; 2 unless told. */
  readonly timeout?: number;
  /** A worker whose critical checks fail is not ready; `true` unless told. */
  readonly critical?: boolean;
}

/** Health checks of the app. */
export const health = {
  /**
   * Adds a check, or replaces the one of that name. It fails where it throws, rejects, gives `false` or takes too long. A
   * worker becomes ready when its critical checks have passed once; later they decide what the health paths say. A
   * check that fails never ends a worker.
   *
   * @throws TypeError where the arguments are of the wrong kind
   */
  check(name: string, run: () => unknown, { timeout = 2, critical = true }: CheckOptions = {}): void {
    if (typeof name !== 'string' || name === '') throw new TypeError('health.check: expected a name');
    if (typeof run !== 'function') throw new TypeError(`health.check: expected a function for "${name}"`);
    if (!(timeout > 0 && timeout <= 3_600)) throw new TypeError('health.check: expected timeout as seconds');
    registry().checks.set(name.slice(0, 100), { name: name.slice(0, 100), run, timeout: timeout * 1_000, critical });
  },
  /** Runs all of them now. */
  run(): Promise<readonly CheckResult[]> {
    return runChecks();
  },
};

/** Work to be done before this worker is ready: caches to warm, connections to open. Where it fails the worker does. */
export function onStart(run: () => unknown): void {
  add('onStart', registry().starts, run);
}

/**
 * Called once, with this worker's slot: at once if it has one, and in a spare when it takes the place of another worker,
 * before its first connection. For work that belongs to a slot: jobs that only slot 0 runs, a port or a file per slot.
 * It is not awaited. Under plain node it is never called.
 */
export function onSlot(run: (slot: number) => unknown): void {
  if (typeof run !== 'function') throw new TypeError('onSlot: expected a function');
  const known = registry();
  const slot = known.worker?.slot ?? null;
  if (slot === null) known.placements = [...(known.placements ?? []), run];
  else run(slot);
}

/**
 * Work that exactly one worker of the service does: a scheduler, a consumer of a queue. It is called in the worker that
 * leads, with a signal that aborts when this worker is to leave. It should return a promise that settles once all it has
 * begun has ended: the next worker begins only then, or when this process is gone. A function that takes no signal cannot
 * end before its process does, and the next worker waits for that.
 *
 * Where the promise is fulfilled before, the worker leads on and nothing is called again; where it is rejected, the work is
 * begun anew a little later, here or in another worker. Under plain node it is called at once, and the signal never aborts.
 *
 * @throws TypeError if it is no function
 */
export function onLeader(run: (signal: AbortSignal) => unknown): void {
  if (typeof run !== 'function') throw new TypeError('onLeader: expected a function');
  const known = registry();
  known.leaderWork = [...(known.leaderWork ?? []), run];
  if (known.worker !== null) known.onLeaderWork?.(run);
  else if (isPartOfWorker()) process.emitWarning(notHere, { code: 'PREFORK_NO_LEADER' });
  else void Promise.resolve(new AbortController().signal).then(run);
}

const notHere =
  'onLeader has no effect in a thread or a child process of a worker: call it in the main thread of the app';

/** Whether this is a thread of a worker, or what one has started: many of them would lead at once. */
function isPartOfWorker(): boolean {
  const { PREFORK_SLOT, PREFORK_SPARE } = process.env;
  return (
    PREFORK_SLOT !== undefined ||
    PREFORK_SPARE !== undefined ||
    !process.getBuiltinModule('node:worker_threads').isMainThread
  );
}

/** Called when this worker begins to drain. */
export function onDrain(run: () => unknown): void {
  add('onDrain', registry().drains, run);
}

/** Called last, when the last connection is gone: close pools here. It may take what is left of `gracefulTimeout`. */
export function onShutdown(run: () => unknown): void {
  add('onShutdown', registry().shutdowns, run);
}

/** Background work that goes on after its response: a drain waits for it, up to `gracefulTimeout`. */
export function waitUntil(promise: PromiseLike<unknown>): void {
  const { pending } = registry();
  const work: Promise<unknown> = Promise.resolve(promise);
  const done = () => pending.delete(work);
  pending.add(work);
  work.then(done, done);
}

/** Who this process is. */
export const worker = {
  /** Whether prefork runs it. */
  get supervised(): boolean {
    return registry().worker !== null;
  },
  /** Its place in the pool, 0 to N-1. `null` in a spare until it takes one, see `onSlot`; and under plain node, as all below. */
  get slot(): number | null {
    return registry().worker?.slot ?? null;
  },
  get id(): number | null {
    return registry().worker?.id ?? null;
  },
  get generation(): number | null {
    return registry().worker?.generation ?? null;
  },
  /** The service's name. */
  get name(): string | null {
    return registry().worker?.name ?? null;
  },
};

function add(what: string, list: (() => unknown)[], run: () => unknown): void {
  if (typeof run !== 'function') throw new TypeError(`${what}: expected a function`);
  list.push(run);
}
