/** A pool without processes: plays workers that obey or misbehave against the pure core, on a clock of its own. */
import type { Action } from '../../../src/core/actions.ts';
import { decide } from '../../../src/core/decide.ts';
import type { Event } from '../../../src/core/events.ts';
import { type Fleet, initialFleet, type Policy } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';
import { type Behaviour, SimulatedProcess, type World, wellBehaved } from './process.ts';

export const defaultPolicy: Policy = {
  workers: 3,
  maxWorkers: 12,
  spares: 0,
  maxSurge: 1,
  autoscale: null,
  maxBooting: 2,
  bootTimeout: 60_000,
  timeout: 30_000,
  blockedWarning: 0,
  gracefulTimeout: 30_000,
  drainDelay: 0,
  minReady: 0,
  progressDeadline: 600_000,
  rollbackWindow: 30_000,
  maxMemory: 0,
  maxBootFailures: 0,
  verify: false,
  upgradeTimeout: 120_000,
  upgradeByHand: false,
  migration: true,
  balance: true,
  canary: null,
};

/** One turn of the master: what it took in, and what it decided. */
export interface SimulatedTurn {
  readonly now: number;
  readonly events: readonly Event[];
  /** The fleet before the events, after them, and after the decision. */
  readonly earlier: Fleet;
  readonly before: Fleet;
  readonly after: Fleet;
  readonly actions: readonly Action[];
  readonly wakeAt: number | null;
}

export interface SimulatorOptions {
  readonly policy?: Partial<Policy>;
  readonly queueCount?: number;
  /** How the process of a worker behaves. */
  readonly behaviour?: (id: number, generation: number, now: number) => Behaviour;
  /** What comes of `prepare`: a policy, or the reason why it fails. */
  readonly prepare?: (reload: number) => Partial<Policy> | string;
  /** Milliseconds that a `prepare` takes. */
  readonly prepareTime?: number;
  /** What a canary's command finds, and how long that takes. */
  readonly verify?: (reload: number) => Verification;
  /** What becomes of a new master. */
  readonly successor?: (upgrade: number) => SuccessorFate;
  /** How much there is to do at a time, as so many workers could do at most. */
  readonly load?: (now: number) => number;
  /** Milliseconds between heartbeats. */
  readonly beatEvery?: number;
  /** Milliseconds from a fact to the turn that takes it in, together with all that came meanwhile. */
  readonly lag?: number;
  readonly jitter?: () => number;
  readonly onTurn?: (turn: SimulatedTurn) => void;
  /** Is given each action first. @returns whether it is done with it */
  readonly onAction?: (action: Action) => boolean;
  /** When it is started, by the master before it. */
  readonly bornAt?: number;
}

/** Milliseconds until a master that is alone knows that it is. */
const claimTime = 5;

/** `takesOver` boots in 300 ms; `fails` after 200; `hangs` says nothing; `dies` as soon as it is ready. */
export type SuccessorFate = 'takesOver' | 'fails' | 'hangs' | 'dies';

/** `reason` is what is wrong, `null` if nothing is; `takes` milliseconds. */
export interface Verification {
  readonly reason: string | null;
  readonly takes: number;
}

interface Item {
  readonly at: number;
  readonly run: () => void;
}

export class Simulator implements World {
  readonly #options: SimulatorOptions;
  /** What happens next, in order. */
  readonly #agenda: Item[] = [];
  readonly #queue: Event[] = [];
  readonly processes = new Map<number, SimulatedProcess>();
  /** Every action so far, with its time. */
  readonly trace: { readonly at: number; readonly action: Action }[] = [];
  readonly beatEvery: number;
  fleet: Fleet;
  now = 0;
  wakeAt: number | null = null;

  constructor(options: SimulatorOptions = {}) {
    this.#options = options;
    this.beatEvery = options.beatEvery ?? 500;
    this.fleet = initialFleet({ ...defaultPolicy, ...options.policy }, options.queueCount ?? 1);
    if (options.bornAt === undefined) return;
    this.now = options.bornAt;
    this.fleet = { ...this.fleet, predecessor: 'serves' };
  }

  /** When something happens next. */
  get nextAt(): number {
    return Math.min(this.#agenda[0]?.at ?? Number.POSITIVE_INFINITY, this.wakeAt ?? Number.POSITIVE_INFINITY);
  }

  get utilisation(): number {
    const ready = this.fleet.workers.filter(({ phase }) => phase.name === 'ready').length;
    return Math.min(1, (this.#options.load?.(this.now) ?? 0) / Math.max(1, ready));
  }

  jitter(): number {
    return this.#options.jitter?.() ?? 0.5;
  }

  /** Does something at a time; after what was to be done then already. */
  at(time: number, run: () => void): void {
    const item = { at: Math.max(time, this.now), run };
    let place = this.#agenda.length;
    while (place > 0 && (this.#agenda[place - 1]?.at ?? 0) > item.at) place -= 1;
    this.#agenda.splice(place, 0, item);
  }

  /** Reports a fact. */
  post(event: Event): void {
    const { lag = 0 } = this.#options;
    this.#queue.push(event);
    if (this.#queue.length > 1) return;
    if (lag === 0) this.#turn();
    else this.at(this.now + lag, () => this.#turn());
  }

  /** Runs what is on the agenda, and the core's own deadlines, up to `time`. */
  runUntil(time: number): void {
    for (;;) {
      const [next] = this.#agenda;
      const wake = this.wakeAt ?? Number.POSITIVE_INFINITY;
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, wake);
      if (at > time) break;
      this.now = Math.max(this.now, at);
      if (next !== undefined && next.at <= wake) {
        this.#agenda.shift();
        next.run();
      } else {
        this.wakeAt = null;
        this.post({ type: 'ticked' });
      }
    }
    this.now = Math.max(this.now, time);
  }

  #turn(): void {
    const { now } = this;
    const events = this.#queue.splice(0);
    const earlier = this.fleet;
    const before = events.reduce((fleet, event) => observe(fleet, event, now), earlier);
    const { fleet: after, actions, wakeAt } = decide(before, now);
    this.fleet = after;
    this.wakeAt = wakeAt;
    for (const action of actions) this.trace.push({ at: now, action });
    this.#options.onTurn?.({ now, events, earlier, before, after, actions, wakeAt });
    for (const action of actions) this.#obey(action);
  }

  #obey(action: Action): void {
    if (this.#options.onAction?.(action) === true) return;
    switch (action.type) {
      case 'spawn':
        this.#spawn(action.id, action.slot, action.generation);
        return;
      case 'place':
        this.processes.get(action.id)?.place();
        return;
      case 'claimLead':
        this.at(this.now + claimTime, () => this.post({ type: 'leadClaimed', claim: action.claim }));
        return;
      case 'lead':
        this.lead(action.id);
        return;
      case 'drain':
        this.processes.get(action.id)?.drain(action.within);
        return;
      case 'kill':
        this.processes.get(action.id)?.kill(action.signal);
        return;
      case 'capture':
        this.processes.get(action.id)?.showStack();
        return;
      case 'prepare':
        this.#prepare(action.reload);
        return;
      case 'verify':
        this.#verify(action.reload);
        return;
      case 'upgrade':
        this.#succeed(this.#options.successor?.(action.upgrade) ?? 'takesOver');
        return;
      case 'yield':
        this.at(this.now + 10, () => this.post({ type: 'successorTook' }));
        return;
      case 'abandon':
        this.at(this.now + 100, () => this.post({ type: 'successorGone', reason: 'it was told to end' }));
        return;
      default:
    }
  }

  /** Workers of which each does what only one may do; those whose end was reported are gone, true or not. */
  leaders(): readonly number[] {
    const known = new Set(this.fleet.workers.map(({ id }) => id));
    return [...this.processes].filter(([id, { leads }]) => leads && known.has(id)).map(([id]) => id);
  }

  lead(id: number): void {
    const others = this.leaders();
    if (others.length > 0) throw new Error(`worker ${id} is to lead, and worker ${others.join()} leads`);
    this.processes.get(id)?.lead();
  }

  #spawn(id: number, slot: number | null, generation: number): void {
    const behaviour = this.#options.behaviour?.(id, generation, this.now) ?? wellBehaved;
    const process = new SimulatedProcess(id, this, behaviour, slot === null);
    this.processes.set(id, process);
    process.start();
  }

  #succeed(fate: SuccessorFate): void {
    this.post({ type: 'successorSpawned', pid: 1_000 });
    const gone = (at: number) =>
      this.at(at, () => this.post({ type: 'successorGone', reason: 'it exited with code 1' }));
    if (fate === 'fails') gone(this.now + 200);
    if (fate === 'takesOver' || fate === 'dies') this.at(this.now + 300, () => this.post({ type: 'successorReadied' }));
    if (fate === 'dies') gone(this.now + 305);
  }

  #verify(reload: number): void {
    const { reason, takes } = this.#options.verify?.(reload) ?? { reason: null, takes: 50 };
    this.at(this.now + takes, () => this.post({ type: 'canaryVerified', reload, reason }));
  }

  #prepare(reload: number): void {
    const { policy, prepare, prepareTime = 10 } = this.#options;
    const result = prepare?.(reload) ?? {};
    this.at(this.now + prepareTime, () =>
      this.post(
        typeof result === 'string'
          ? { type: 'reloadPrepareFailed', reload, reason: result }
          : { type: 'reloadPrepared', reload, policy: { ...defaultPolicy, ...policy, ...result } },
      ),
    );
  }
}
