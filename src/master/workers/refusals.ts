/** Which workers turn requests away, from the counts in their heartbeats, by each worker's own clock. */

interface Known {
  readonly rejected: number;
  /** Of the worker's clock, milliseconds: when the count was highest first, and its newest heartbeat. */
  readonly grewAt: number;
  readonly at: number;
}

/** Milliseconds without a refusal after which a worker is itself again: a few heartbeats. */
const calmAfter = 1_500;

export class Refusals {
  readonly #known = new Map<number, Known>();

  /** @param rejected `null` of a worker without such limits; @param at of its monotonic clock */
  onBeat(id: number, rejected: number | null, at: number | null): void {
    if (rejected === null || at === null) return;
    const last = this.#known.get(id) ?? { rejected: 0, grewAt: Number.NEGATIVE_INFINITY };
    this.#known.set(id, { rejected, grewAt: rejected > last.rejected ? at : last.grewAt, at });
  }

  /** Whether it turns requests away, or did a moment ago. */
  isRefusing(id: number): boolean {
    const known = this.#known.get(id);
    return known !== undefined && known.at - known.grewAt < calmAfter;
  }

  forget(id: number): void {
    this.#known.delete(id);
  }
}
