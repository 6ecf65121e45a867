/** Where everything is decided, one turn at a time: events in, one decision, actions out. */
import type { Action } from '../core/actions.ts';
import { decide } from '../core/decide.ts';
import type { Event } from '../core/events.ts';
import type { Fleet } from '../core/model.ts';
import { observe } from '../core/observe.ts';
import { RunningClock } from './clock.ts';
import type { Logger } from './log/logger.ts';
import { type Line, narrateAction, narrateEvent } from './log/narrate.ts';

/** Longest sleep, milliseconds: how coarsely time in which the master was stopped can be told from time that passed. */
const longestSleep = 1_000;

/** Who keeps a record of what happened: metrics, the timeline. Sees everything, changes nothing. */
export interface Witness {
  /** A fact, with what was known before it. @param now milliseconds of the running clock */
  event?(event: Event, before: Fleet, now: number): void;
  /** A decision, with what was known when it was taken. */
  action?(action: Action, fleet: Fleet, now: number): void;
  /** What the log was told, in the same words. */
  line?(line: Line): void;
}

/** What the arbiter moves: connected once all parts of the master are there. */
export interface Connection {
  /** Carries out an action. Must not wait for anything; what comes of it is posted as an event. */
  readonly act: (action: Action, fleet: Fleet) => void;
  /** Is shown the outcome of each turn. */
  readonly onTurn: (fleet: Fleet) => void;
}

export interface ArbiterOptions {
  readonly fleet: Fleet;
  readonly logger: () => Logger;
  readonly witnesses?: readonly Witness[];
  readonly clock?: RunningClock;
}

export class Arbiter {
  readonly #options: ArbiterOptions;
  readonly #clock: RunningClock;
  readonly #witnesses: readonly Witness[];
  readonly #queue: Event[] = [];
  #fleet: Fleet;
  #connection: Connection | null = null;
  #timer: NodeJS.Timeout | null = null;
  #scheduled = false;
  #ended = false;

  constructor(options: ArbiterOptions) {
    this.#options = options;
    this.#witnesses = options.witnesses ?? [];
    this.#fleet = options.fleet;
    this.#clock = options.clock ?? new RunningClock();
  }

  get fleet(): Fleet {
    return this.#fleet;
  }

  now(): number {
    return this.#clock.now();
  }

  /** To be called once, before the first fact is reported. */
  connect(connection: Connection): void {
    this.#connection = connection;
  }

  /** Reports a fact. It is taken in at the next turn, which is soon. */
  readonly post = (event: Event): void => {
    this.#queue.push(event);
    this.#schedule();
  };

  /** No more turns. */
  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /**
   * A turn is taken after the poll phase of the event loop: whatever waits in a worker's channel, such as the heartbeats
   * of a time in which the master was stopped, is known before anybody is judged.
   */
  #schedule(): void {
    if (this.#scheduled || this.#ended) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#ended) this.#turn();
    });
  }

  #turn(): void {
    const lost = this.#clock.resume();
    if (lost > 0)
      this.#options
        .logger()
        .warn({ lostMs: Math.round(lost) }, 'the master did not run for a while; nobody is blamed for it');
    const now = this.#clock.now();
    for (const event of this.#queue.splice(0)) {
      this.#log(narrateEvent(event, this.#fleet, now));
      for (const witness of this.#witnesses) witness.event?.(event, this.#fleet, now);
      this.#fleet = observe(this.#fleet, event, now);
    }
    const decision = decide(this.#fleet, now);
    this.#fleet = decision.fleet;
    for (const action of decision.actions) {
      this.#log(narrateAction(action, this.#fleet));
      for (const witness of this.#witnesses) witness.action?.(action, this.#fleet, now);
      this.#connection?.act(action, this.#fleet);
    }
    this.#connection?.onTurn(this.#fleet);
    this.#sleepUntil(decision.wakeAt);
  }

  #sleepUntil(wakeAt: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#ended) return;
    const within = Math.min(longestSleep, Math.max(1, (wakeAt ?? Number.POSITIVE_INFINITY) - this.#clock.now()));
    this.#clock.expect(within);
    this.#timer = setTimeout(() => this.post({ type: 'ticked' }), within);
  }

  #log(line: Line | null): void {
    if (line === null) return;
    this.#options.logger()[line.level](line.fields, line.message);
    for (const witness of this.#witnesses) witness.line?.(line);
  }
}
