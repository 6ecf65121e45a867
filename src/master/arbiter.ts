/** Where everything is decided, one turn at a time: events in, one decision, actions out. */
import type { Action } from '../core/actions.ts';
import { decide } from '../core/decide.ts';
import type { Event } from '../core/events.ts';
import type { Fleet } from '../core/model.ts';
import { observe } from '../core/observe.ts';
import { RunningClock } from './clock.ts';
import type { Line } from './log/line.ts';
import { narrateAction, narrateEvent, narrateSuspension } from './log/narrate.ts';
import type { Observer } from './log/observer.ts';

/** Longest sleep, milliseconds: how coarsely time in which the master was stopped can be told from time that passed. */
const longestSleep = 1_000;
/** The same while a worker boots, which has nothing but time to be judged by. */
const longestSleepOfBoots = 100;
/**
 * Milliseconds that a heartbeat may wait for others, so that they have one turn together: each looks at all workers. What is
 * seen of any other event is seen of the heartbeats before it as well.
 */
const gather = 100;
/** Milliseconds by which any timer may be late. */
const ordinary = 50;
/** Milliseconds that boots are given at least after a time in which the master did not run: it says so first. */
const leastGiven = 2_000;

/** What the arbiter moves: connected once all parts of the master are there. */
export interface Connection {
  /** Carries out an action. It must not wait for anything: what comes of the action is posted as an event. */
  readonly act: (action: Action, fleet: Fleet) => void;
  /** Called with the fleet after each turn. */
  readonly onTurn: (fleet: Fleet) => void;
}

export interface ArbiterOptions {
  readonly fleet: Fleet;
  /** Called in this order for each event and action. */
  readonly observers?: readonly Observer[];
  readonly clock?: RunningClock;
  /** Adds to the line of an action what the core does not know. */
  readonly complete?: (line: Line, action: Action, fleet: Fleet) => Line;
}

export class Arbiter {
  readonly #clock: RunningClock;
  readonly #observers: readonly Observer[];
  readonly #complete: NonNullable<ArbiterOptions['complete']>;
  readonly #queue: Event[] = [];
  #fleet: Fleet;
  #connection: Connection | null = null;
  #timer: NodeJS.Timeout | null = null;
  #gathering: NodeJS.Timeout | null = null;
  #scheduled = false;
  #ended = false;

  constructor(options: ArbiterOptions) {
    this.#observers = options.observers ?? [];
    this.#fleet = options.fleet;
    this.#complete = options.complete ?? ((line) => line);
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
    if (event.type !== 'workerBeat') this.#schedule();
    else this.#gathering ??= setTimeout(() => this.#schedule(), gather);
  };

  /** Whether what is reported changes nothing any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** No more turns. */
  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#gathering !== null) clearTimeout(this.#gathering);
  }

  /**
   * A turn is taken after the poll phase of the event loop: what waits in the workers' channels, such as the heartbeats
   * of a time in which the master was stopped, is known before any worker is judged.
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
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#gathering = null;
    const lost = this.#clock.resume();
    if (lost > 0) {
      const line = narrateSuspension(lost);
      for (const observer of this.#observers) observer.suspended?.(line);
    }
    const now = this.#clock.now();
    const late = lost > 0 ? Math.max(lost, leastGiven) : this.#clock.late;
    // No operator's and no worker's doing: the line above is all that is told of it.
    if (late > ordinary) this.#fleet = observe(this.#fleet, { type: 'starved', late }, now);
    for (const event of this.#queue.splice(0)) {
      const told = { fleet: this.#fleet, now, line: narrateEvent(event, this.#fleet, now) };
      for (const observer of this.#observers) observer.event?.(event, told);
      this.#fleet = observe(this.#fleet, event, now);
    }
    const decision = decide(this.#fleet, now);
    this.#fleet = decision.fleet;
    for (const action of decision.actions) {
      const line = narrateAction(action, this.#fleet);
      const told = {
        fleet: this.#fleet,
        now,
        line: line === null ? null : this.#complete(line, action, this.#fleet),
      };
      for (const observer of this.#observers) observer.action?.(action, told);
      this.#connection?.act(action, this.#fleet);
    }
    this.#connection?.onTurn(this.#fleet);
    this.#sleepUntil(decision.wakeAt);
  }

  #sleepUntil(wakeAt: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#ended) return;
    const isBooting = this.#fleet.workers.some(({ phase }) => phase.name === 'booting' || phase.name === 'joining');
    const longest = isBooting ? longestSleepOfBoots : longestSleep;
    const within = Math.min(longest, Math.max(1, (wakeAt ?? Number.POSITIVE_INFINITY) - this.#clock.now()));
    this.#clock.expect(within);
    this.#timer = setTimeout(() => this.post({ type: 'ticked' }), within);
  }
}
