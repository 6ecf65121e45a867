/** A pool without processes: plays workers that obey or misbehave against the pure core, on a clock of its own. */
import type { Action } from '../../../src/core/actions.ts';
import { decide } from '../../../src/core/decide.ts';
import type { Event } from '../../../src/core/events.ts';
import { type Figures, type Fleet, initialFleet, type Limits, type Policy } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';

/** How a process behaves. Times are milliseconds. */
export interface Behaviour {
  /** From its spawn to `readied`; `null` hangs. */
  readonly boot: number | null;
  /** It exits with this code instead of becoming ready. */
  readonly failsWith: number | null;
  /** It cannot even be forked. */
  readonly forkFails: boolean;
  /** From the order to drain to its exit; `null` ignores it. */
  readonly drain: number | null;
  /** It exits with code 1 so long after it was ready; `null` lives on. */
  readonly diesAfter: number | null;
  /** Whether heartbeats come. */
  readonly beats: boolean;
  readonly limits: Limits;
}

export const wellBehaved: Behaviour = {
  boot: 100,
  failsWith: null,
  forkFails: false,
  drain: 50,
  diesAfter: null,
  beats: true,
  limits: { requests: null, lifetime: null },
};

export const defaultPolicy: Policy = {
  workers: 3,
  maxWorkers: 12,
  maxSurge: 1,
  maxBooting: 2,
  bootTimeout: 60_000,
  timeout: 30_000,
  blockedWarning: 0,
  gracefulTimeout: 30_000,
  minReady: 0,
  progressDeadline: 600_000,
  rollbackWindow: 30_000,
  maxMemory: 0,
  maxBootFailures: 0,
};

interface Process {
  readonly id: number;
  readonly behaviour: Behaviour;
  alive: boolean;
  figures: Figures;
}

interface Item {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const beatEvery = 500;
const noFigures: Figures = {
  requests: 0,
  inFlight: 0,
  connections: 0,
  rss: 50e6,
  heapUsed: 0,
  loopDelayP99: 0,
  loopDelayMax: 0,
  loopUtilisation: 0,
};

export interface SimulatorOptions {
  readonly policy?: Partial<Policy>;
  readonly queueCount?: number;
  /** How the process of a worker behaves. */
  readonly behaviour?: (id: number, generation: number) => Behaviour;
  /** What comes of `prepare`: a policy, or the reason why it fails. */
  readonly prepare?: (reload: number) => Partial<Policy> | string;
  /** Milliseconds that a `prepare` takes. */
  readonly prepareTime?: number;
  readonly onActions?: (actions: readonly Action[], before: Fleet, sim: Simulator) => void;
}

export class Simulator {
  readonly #options: SimulatorOptions;
  readonly #agenda: Item[] = [];
  readonly processes = new Map<number, Process>();
  /** Every action so far, with its time. */
  readonly trace: { readonly at: number; readonly action: Action }[] = [];
  fleet: Fleet;
  now = 0;
  wakeAt: number | null = null;
  #order = 0;

  constructor(options: SimulatorOptions = {}) {
    this.#options = options;
    this.fleet = initialFleet({ ...defaultPolicy, ...options.policy }, options.queueCount ?? 1);
  }

  at(time: number, run: () => void): void {
    this.#agenda.push({ at: Math.max(time, this.now), order: this.#order++, run });
  }

  post(event: Event): void {
    this.fleet = observe(this.fleet, event, this.now);
    this.decide();
  }

  decide(): void {
    const before = this.fleet;
    const decision = decide(this.fleet, this.now);
    this.fleet = decision.fleet;
    this.wakeAt = decision.wakeAt;
    for (const action of decision.actions) this.trace.push({ at: this.now, action });
    this.#options.onActions?.(decision.actions, before, this);
    for (const action of decision.actions) this.#obey(action);
  }

  /** Runs what is on the agenda, and the core's own deadlines, up to `time`. */
  runUntil(time: number): void {
    for (;;) {
      const next = this.#agenda.reduce<Item | null>(
        (best, item) =>
          best === null || item.at < best.at || (item.at === best.at && item.order < best.order) ? item : best,
        null,
      );
      const wake = this.wakeAt ?? Number.POSITIVE_INFINITY;
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, wake);
      if (at > time) break;
      this.now = Math.max(this.now, at);
      if (next !== null && next.at <= wake) {
        this.#agenda.splice(this.#agenda.indexOf(next), 1);
        next.run();
      } else this.post({ type: 'ticked' });
    }
    this.now = Math.max(this.now, time);
  }

  /** The process ends by itself, or is ended from outside. */
  exit(id: number, code: number | null, signal: string | null = null): void {
    const process = this.processes.get(id);
    if (process === undefined || !process.alive) return;
    process.alive = false;
    this.post({ type: 'exited', id, code, signal, jitter: 0.5 });
  }

  setFigures(id: number, figures: Partial<Figures>): void {
    const process = this.processes.get(id);
    if (process !== undefined) process.figures = { ...process.figures, ...figures };
  }

  #obey(action: Action): void {
    switch (action.type) {
      case 'spawn':
        this.#spawn(action.id, action.generation);
        return;
      case 'drain': {
        const drain = this.processes.get(action.id)?.behaviour.drain ?? null;
        if (drain !== null) this.at(this.now + Math.min(drain, action.within), () => this.exit(action.id, 0));
        return;
      }
      case 'kill':
        this.at(this.now + 1, () => this.exit(action.id, null, action.signal));
        return;
      case 'capture':
        this.at(this.now + 100, () => this.post({ type: 'captured', id: action.id }));
        return;
      case 'prepare': {
        const result = this.#options.prepare?.(action.reload) ?? {};
        this.at(this.now + (this.#options.prepareTime ?? 10), () =>
          this.post(
            typeof result === 'string'
              ? { type: 'prepareFailed', reload: action.reload, reason: result }
              : {
                  type: 'prepared',
                  reload: action.reload,
                  policy: { ...defaultPolicy, ...this.#options.policy, ...result },
                },
          ),
        );
        return;
      }
      default:
    }
  }

  #spawn(id: number, generation: number): void {
    const behaviour = this.#options.behaviour?.(id, generation) ?? wellBehaved;
    if (behaviour.forkFails) {
      this.at(this.now, () => this.post({ type: 'spawnFailed', id, reason: 'EMFILE', jitter: 0.5 }));
      return;
    }
    const process: Process = { id, behaviour, alive: true, figures: noFigures };
    this.processes.set(id, process);
    this.at(
      this.now,
      () => process.alive && this.post({ type: 'spawned', id, pid: 1000 + id, limits: behaviour.limits }),
    );
    const { boot, failsWith, diesAfter } = behaviour;
    if (boot === null) return;
    this.at(this.now + boot, () => {
      if (!process.alive) return;
      if (failsWith !== null) {
        this.exit(id, failsWith);
        return;
      }
      this.post({ type: 'readied', id });
      if (diesAfter !== null) this.at(this.now + diesAfter, () => this.exit(id, 1));
      this.#beat(process);
    });
  }

  #beat(process: Process): void {
    this.at(this.now + beatEvery, () => {
      if (!process.alive || !process.behaviour.beats) return;
      this.post({ type: 'beaten', id: process.id, figures: process.figures });
      this.#beat(process);
    });
  }
}
