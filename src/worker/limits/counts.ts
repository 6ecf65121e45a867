/** How often the limits of requests have acted. */
import type { LimitName } from '../../protocol/traffic.ts';

export class LimitCounts {
  readonly #totals: Record<LimitName, number> = { slow: 0, timed_out: 0, in_flight: 0, loop_delay: 0 };
  readonly #taken: Record<LimitName, number> = { slow: 0, timed_out: 0, in_flight: 0, loop_delay: 0 };

  add(name: LimitName): void {
    this.#totals[name] += 1;
  }

  /** Requests turned away in this worker's life. */
  get rejected(): number {
    return this.#totals.in_flight + this.#totals.loop_delay;
  }

  /** Requests answered with 504 in this worker's life. */
  get timedOut(): number {
    return this.#totals.timed_out;
  }

  /** What was added since the last call. */
  take(): [LimitName, number][] {
    const names = Object.keys(this.#totals) as LimitName[];
    return names.flatMap((name): [LimitName, number][] => {
      const more = this.#totals[name] - this.#taken[name];
      this.#taken[name] = this.#totals[name];
      return more > 0 ? [[name, more]] : [];
    });
  }
}
