/** One turn of deciding: the fleet as the rules change it, what they want done, and when to look again. */
import type { Action } from './actions.ts';
import { fixed } from './fixed.ts';
import { withWorker } from './fleet.ts';
import { type Fleet, type KillReason, newWorker, type RetireReason, type Worker } from './model.ts';

/** A rule changes the turn it gets. All state it decides on is in `turn.fleet` and `turn.now`. */
export type Rule = (turn: Turn) => void;

export class Turn {
  readonly now: number;
  readonly actions: Action[] = [];
  fleet: Fleet;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(fleet: Fleet, now: number) {
    this.fleet = fleet;
    this.now = now;
  }

  /** When the next deadline passes; `null` if only an event can change anything. */
  get wakeAt(): number | null {
    return Number.isFinite(this.#wakeAt) ? this.#wakeAt : null;
  }

  /** What earlier passes waited for may be over: only the last one knows. */
  beginPass(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  do(action: Action): void {
    this.actions.push(action);
  }

  /** @returns whether `time` has come; if not, the next turn is taken then at the latest. */
  due(time: number): boolean {
    if (this.now >= time) return true;
    this.#wakeAt = Math.min(this.#wakeAt, time);
    return false;
  }

  /**
   * Whether a connection may still reach a worker that drains. A reload or an upgrade is not done until no old worker
   * accepts: a client that opens a connection after that meets the new release.
   */
  mayAccept({ phase }: Worker): boolean {
    return phase.name === 'draining' && phase.accepts && !this.due(phase.since + fixed.acceptLimit);
  }

  change(change: Partial<Fleet>): void {
    this.fleet = { ...this.fleet, ...change };
  }

  /** Looks again when the worker will be spent. */
  wakeWhenSpent(worker: Worker): void {
    if (worker.spent !== null) this.due(worker.spent.from);
    if (worker.limits.lifetime !== null) this.due(worker.bornAt + worker.limits.lifetime);
  }

  /**
   * @param slot `null` for a spare
   * @param held whether it is to have no clients until it is admitted
   */
  spawn(slot: number | null, generation: number, held = false): void {
    const id = this.fleet.nextWorkerId;
    const worker: Worker = { ...newWorker({ id, slot, generation }, this.now), held };
    this.change({ nextWorkerId: id + 1, workers: [...this.fleet.workers, worker] });
    this.do({ type: 'spawn', id, slot, generation, ...(held ? { held } : {}) });
  }

  drain(worker: Worker, reason: RetireReason, deadline: number, quick = false): void {
    this.fleet = withWorker(this.fleet, worker.id, {
      phase: {
        name: 'draining',
        since: this.now,
        deadline,
        reason,
        quick,
        awaited: this.fleet.stopping !== null,
        // A spare has never accepted.
        accepts: worker.slot !== null,
      },
    });
    this.do({ type: 'drain', id: worker.id, reason, quick, within: deadline - this.now });
  }

  /** A worker that drains is told that somebody waits for its end. */
  hasten(worker: Worker): void {
    const { phase } = worker;
    if (phase.name !== 'draining' || phase.awaited) return;
    this.fleet = withWorker(this.fleet, worker.id, { phase: { ...phase, awaited: true } });
    this.do({ type: 'hasten', id: worker.id, within: Math.max(0, phase.deadline - this.now) });
  }

  /** Ends a worker that is not ready and no longer wanted: it is drained if it may already have clients, else killed. */
  dismiss(worker: Worker, reasons: readonly [KillReason, RetireReason], deadline: number, quick = false): void {
    const [reason, retireReason] = reasons;
    if (worker.listening) this.drain(worker, retireReason, deadline, quick);
    else this.kill(worker, reason, 'SIGKILL');
  }

  kill(worker: Worker, reason: KillReason, signal: 'SIGABRT' | 'SIGKILL'): void {
    this.fleet = withWorker(this.fleet, worker.id, { phase: { name: 'killed', since: this.now, reason, signal } });
    this.do({ type: 'kill', id: worker.id, reason, signal });
  }
}
