/** Tells whoever asked for a reload how it went: that one, and not one that was under way already. */
import type { Fleet, ReloadOutcome } from '../core/model.ts';

interface Waiting {
  readonly reload: number;
  readonly settle: (outcome: ReloadOutcome | null) => void;
}

export class Outcomes {
  readonly #waiting = new Set<Waiting>();

  /**
   * @param fleet before the request is taken in
   * @returns the outcome; `null` where the service stopped before there was one
   */
  ofNext(fleet: Fleet): Promise<ReloadOutcome | null> {
    // One that is under way has read its configuration already: ours comes after it.
    const reload = fleet.reloads + 1;
    return new Promise((settle) => this.#waiting.add({ reload, settle }));
  }

  onTurn({ lastReload, stopping, reload }: Fleet): void {
    for (const waiting of this.#waiting) {
      const isOver = lastReload !== null && lastReload.reload >= waiting.reload;
      if (!isOver && (stopping === null || reload.state !== 'idle')) continue;
      this.#waiting.delete(waiting);
      waiting.settle(isOver ? lastReload : null);
    }
  }
}
