/** Answers a request for a reload or an upgrade with how that one went, not one that was under way already. */
import { isLeaving } from '../core/fleet.ts';
import type { Fleet, ReloadHeld, ReloadOutcome, UpgradeOutcome } from '../core/model.ts';

/** Requests that wait for the outcome of an attempt. */
class Waiting<Outcome> {
  readonly #requests = new Set<{
    readonly attempt: number;
    readonly settle: (outcome: Outcome | null) => void;
  }>();

  for(attempt: number): Promise<Outcome | null> {
    return new Promise((settle) => this.#requests.add({ attempt, settle }));
  }

  /** @param outcomeOf an attempt; `null` if it will have none, `undefined` as long as that is open */
  answer(outcomeOf: (attempt: number) => Outcome | null | undefined): void {
    for (const request of this.#requests) {
      const outcome = outcomeOf(request.attempt);
      if (outcome === undefined) continue;
      this.#requests.delete(request);
      request.settle(outcome);
    }
  }
}

export class Outcomes {
  /** For how it begins: with `held` as well as with its end. */
  readonly #beginning = new Waiting<ReloadOutcome | ReloadHeld>();
  readonly #ending = new Waiting<ReloadOutcome>();
  readonly #now: () => number;

  /** @param now of the running clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * A reload that is under way has read its configuration already: the next one counts.
   *
   * @param fleet before the request is taken in
   * @returns the outcome, `held` if it is held; `null` if the service stopped before there was one, or if a new master does
   *   the reload
   */
  ofNext(fleet: Fleet): Promise<ReloadOutcome | ReloadHeld | null> {
    return this.#beginning.for(fleet.reloads + 1);
  }

  /** @returns the outcome of the reload that is under way, however long it is held; `null` as above */
  ofCurrent(fleet: Fleet): Promise<ReloadOutcome | null> {
    return this.#ending.for(fleet.reloads);
  }

  onTurn(fleet: Fleet): void {
    const ended = (attempt: number): ReloadOutcome | null | undefined => {
      const { lastReload, stopping, reload } = fleet;
      if (lastReload !== null && lastReload.reload >= attempt) return lastReload;
      // It was handed on to the new master.
      if (isLeaving(fleet)) return null;
      return stopping !== null && reload.state === 'idle' ? null : undefined;
    };
    this.#ending.answer(ended);
    this.#beginning.answer((attempt) => heldOutcome(fleet, attempt, this.#now()) ?? ended(attempt));
  }
}

function heldOutcome({ reload, generation }: Fleet, attempt: number, now: number): ReloadHeld | null {
  if (reload.state !== 'canary' || reload.stage.name !== 'held' || reload.reload < attempt) return null;
  return { verdict: 'held', reload: reload.reload, generation, reason: null, duration: now - reload.since };
}

/** One upgrade at a time: a request waits for the one that it begins. */
export class UpgradeOutcomes {
  readonly #waiting = new Waiting<UpgradeOutcome>();

  /**
   * @param fleet before the request is taken in
   * @returns the outcome; `null` if the upgrade was refused, or the master exited before there was one
   */
  ofNext(fleet: Fleet): Promise<UpgradeOutcome | null> {
    return this.#waiting.for(fleet.upgrades + 1);
  }

  onTurn({ lastUpgrade, upgrades, exited }: Fleet): void {
    this.#waiting.answer((attempt) => {
      if (lastUpgrade !== null && lastUpgrade.upgrade >= attempt) return lastUpgrade;
      // Refused after all: another request was faster.
      const isRefused = upgrades < attempt;
      return isRefused || exited ? null : undefined;
    });
  }
}
