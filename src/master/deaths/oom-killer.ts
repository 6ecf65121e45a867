/** Whether the kernel has killed a worker for lack of memory: by its own counter, which rises before the process is gone. */
import { containerLimits, type OomKills, oomCounter } from '../../system/cgroup.ts';
import { monotonic } from '../../system/monotonic.ts';

/** Milliseconds: a rise is never taken for newer than that. */
const lookEvery = 10_000;

/** What is known of a SIGKILL that prefork has not sent. */
export type OomVerdict =
  /** The counter has risen. `limit` is the container's, in bytes, if it has one. */
  | { readonly kind: 'oom'; readonly of: OomKills['of']; readonly limit: number | null }
  | { readonly kind: 'other' }
  /** There is no counter here. */
  | { readonly kind: 'unknown' };

export class OomKiller {
  readonly #read: () => OomKills | null;
  readonly #limit: () => number | null;
  readonly #now: () => number;
  #seen: number | null;
  #seenAt: number;

  /** Only tests have others than the system's. @param now milliseconds, of a clock that only goes forward */
  constructor(
    read: () => OomKills | null = oomCounter() ?? (() => null),
    limit: () => number | null = () => containerLimits().memory,
    now: () => number = monotonic,
  ) {
    this.#read = read;
    this.#limit = limit;
    this.#now = now;
    this.#seen = read()?.count ?? null;
    this.#seenAt = now();
  }

  /** Called often: what was killed earlier must not pass for what is killed next. Costs a look at the clock, mostly. */
  look(): void {
    if (this.#seen === null || this.#now() - this.#seenAt < lookEvery) return;
    this.#seen = this.#read()?.count ?? null;
    this.#seenAt = this.#now();
  }

  /** A worker was killed by SIGKILL. Each kill of the counter explains one worker. */
  explain(): OomVerdict {
    const found = this.#seen === null ? null : this.#read();
    if (found === null || this.#seen === null) return { kind: 'unknown' };
    if (found.count <= this.#seen) return { kind: 'other' };
    this.#seen += 1;
    return { kind: 'oom', of: found.of, limit: found.of === 'group' ? this.#limit() : null };
  }
}
