/** One turn of deciding: the fleet as the rules change it, what they want done, and when to look again. */
import type { Action } from './actions.ts';
import { withWorker } from './fleet.ts';
import { type Fleet, fixed, type KillReason, type RetireReason, type Worker } from './model.ts';

/** A rule changes the turn it is given. All state it decides on is in `turn.fleet` and `turn.now`. */
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

  /** When the next deadline passes; `null` where only an event can change anything. */
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

  /** @returns whether `time` has come; if not, this turn's successor happens then at the latest. */
  due(time: number): boolean {
    if (this.now >= time) return true;
    this.#wakeAt = Math.min(this.#wakeAt, time);
    return false;
  }

  /**
   * Whether a connection may still reach a worker that was told to leave. Until none of the old ones accepts, nothing
   * is done: whoever asks for the new release then, on a connection of its own, is answered by it.
   */
  mayAccept({ phase }: Worker): boolean {
    return phase.name === 'draining' && phase.accepts && !this.due(phase.since + fixed.acceptLimit);
  }

  change(change: Partial<Fleet>): void {
    this.fleet = { ...this.fleet, ...change };
  }

  drain(worker: Worker, reason: RetireReason, deadline: number, quick = false): void {
    this.fleet = withWorker(this.fleet, worker.id, {
      phase: { name: 'draining', since: this.now, deadline, reason, quick, accepts: true },
    });
    this.do({ type: 'drain', id: worker.id, reason, quick, within: deadline - this.now });
  }

  /** Sends away a worker that is not ready and not wanted any more; not at once where it may have clients already. */
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
