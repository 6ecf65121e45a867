/**
 * What an app has told prefork. The app may have a copy of this package of its own, or one of another version: both find
 * the same object, and without prefork it is there all the same.
 */

/** A number that changes when the meaning of a field does. */
const contract = 1;
const key = Symbol.for(`prefork.app.${contract}`);

export interface Check {
  readonly name: string;
  readonly run: () => unknown;
  /** Milliseconds. */
  readonly timeout: number;
  /** Whether the worker can serve without it. */
  readonly critical: boolean;
}

/** What a worker may know of itself. */
export interface WorkerFacts {
  /** `null` in a spare that has no place yet. */
  readonly slot: number | null;
  readonly id: number;
  readonly generation: number;
  readonly name: string;
}

/** What is known of the request that the calling code serves; `null` where it serves none. */
export interface CurrentRequest {
  /** The app has what asks, and may begin to. */
  expect(): void;
  id(): string | null;
  traceId(): string | null;
}

/** What only one worker of the service does; the signal says that it is to end. */
export type LeaderWork = (signal: AbortSignal) => unknown;

export interface Registry {
  readonly checks: Map<string, Check>;
  readonly starts: (() => unknown)[];
  readonly drains: (() => unknown)[];
  readonly shutdowns: (() => unknown)[];
  /** Called when a spare gets its slot; empty afterwards. A copy of an earlier version has made it without. */
  placements?: ((slot: number) => unknown)[];
  /** Run while this worker leads. A copy of an earlier version has made it without, as the next one. */
  leaderWork?: LeaderWork[];
  /** Told of each that is added. */
  onLeaderWork?: (work: LeaderWork) => void;
  /** Background work that a drain awaits. */
  readonly pending: Set<Promise<unknown>>;
  /** Who knows which request is being served; the worker sets it before the app is loaded. */
  requests?: CurrentRequest;
  /** `null` where nobody supervises this process. */
  worker: WorkerFacts | null;
}

export function registry(): Registry {
  const global = globalThis as unknown as Record<symbol, Registry | undefined>;
  const known = global[key];
  if (known !== undefined) return known;
  const made: Registry = { checks: new Map(), starts: [], drains: [], shutdowns: [], pending: new Set(), worker: null };
  Object.defineProperty(globalThis, key, { value: made, enumerable: false });
  return made;
}
