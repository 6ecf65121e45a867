/**
 * How often a worker may say what leads to a line of the log, to an entry of the timeline, or to work for the master. An
 * honest one stays far below it; one that does not is taken for hostile. The limits of all messages together are the
 * channel's.
 */
import type { WorkerMessage } from '../../protocol/messages.ts';
import { monotonic } from '../../system/monotonic.ts';

interface Limit {
  /** Messages of the kind at once. */
  readonly burst: number;
  /** And so many a second, for ever. */
  readonly perSecond: number;
}

/** Kinds that are not here come regularly, and cost the master little. */
const limits: Readonly<Partial<Record<WorkerMessage['type'], Limit>>> = {
  listen: { burst: 600, perSecond: 150 },
  stack: { burst: 100, perSecond: 10 },
  requests: { burst: 100, perSecond: 10 },
  unheard: { burst: 10, perSecond: 0.1 },
  mute: { burst: 200, perSecond: 20 },
  'session-missed': { burst: 50, perSecond: 2 },
  booted: { burst: 10, perSecond: 0.1 },
  ready: { burst: 10, perSecond: 0.1 },
  candidate: { burst: 10, perSecond: 0.1 },
  resigned: { burst: 50, perSecond: 1 },
  failed: { burst: 20, perSecond: 0.2 },
  termed: { burst: 50, perSecond: 1 },
  health: { burst: 200, perSecond: 20 },
  'log-trouble': { burst: 30, perSecond: 5 },
  short: { burst: 60, perSecond: 10 },
  draining: { burst: 50, perSecond: 5 },
  slow: { burst: 60, perSecond: 5 },
  migrated: { burst: 50, perSecond: 5 },
  drained: { burst: 10, perSecond: 0.1 },
  dying: { burst: 10, perSecond: 0.5 },
  snapshot: { burst: 5, perSecond: 0.1 },
  'app-metrics': { burst: 20, perSecond: 4 },
};

interface Bucket {
  tokens: number;
  at: number;
}

export class Restraint {
  readonly #buckets = new Map<number, Map<string, Bucket>>();
  /** Workers that have said too much: nothing that they say counts any more. */
  readonly #over = new Set<number>();
  readonly #now: () => number;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(now: () => number = monotonic) {
    this.#now = now;
  }

  /** @returns whether the worker may say this now; `exceeded` is said once of each worker, when it may not any more */
  take(id: number, type: WorkerMessage['type']): 'taken' | 'exceeded' | 'ignored' {
    if (this.#over.has(id)) return 'ignored';
    const limit = limits[type];
    if (limit === undefined) return 'taken';
    const ofWorker = this.#buckets.get(id) ?? new Map<string, Bucket>();
    this.#buckets.set(id, ofWorker);
    const now = this.#now();
    const bucket = ofWorker.get(type) ?? { tokens: limit.burst, at: now };
    ofWorker.set(type, bucket);
    bucket.tokens = Math.min(limit.burst, bucket.tokens + ((now - bucket.at) * limit.perSecond) / 1_000);
    bucket.at = now;
    bucket.tokens -= 1;
    if (bucket.tokens >= 0) return 'taken';
    this.#over.add(id);
    return 'exceeded';
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#buckets.delete(id);
    this.#over.delete(id);
  }

  /** Workers that are known. */
  get size(): number {
    return this.#buckets.size;
  }
}
