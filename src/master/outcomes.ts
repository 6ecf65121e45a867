/** Tells whoever asked for a reload how it went: that one, and not one that was under way already. */
import type { Fleet, ReloadOutcome, UpgradeOutcome } from '../core/model.ts';

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

/** The same for an upgrade. One at a time: who asks is told of the one that this begins. */
export class UpgradeOutcomes {
  readonly #waiting = new Set<{
    readonly upgrade: number;
    readonly settle: (outcome: UpgradeOutcome | null) => void;
  }>();

  /** @param fleet before the request is taken in */
  ofNext(fleet: Fleet): Promise<UpgradeOutcome | null> {
    return new Promise((settle) => this.#waiting.add({ upgrade: fleet.upgrades + 1, settle }));
  }

  onTurn({ lastUpgrade, upgrades, exited }: Fleet): void {
    for (const waiting of this.#waiting) {
      const isOver = lastUpgrade !== null && lastUpgrade.upgrade >= waiting.upgrade;
      // One that was refused after all: another was faster.
      const isRefused = upgrades < waiting.upgrade;
      if (!isOver && !isRefused && !exited) continue;
      this.#waiting.delete(waiting);
      waiting.settle(isOver ? lastUpgrade : null);
    }
  }
}
