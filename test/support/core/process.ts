/** A process of the simulator: what a worker does of itself and when it is told to, well-behaved or not. */
import type { Event } from '../../../src/core/events.ts';
import type { FailureKind, Figures, Limits } from '../../../src/core/model.ts';

/** How a process behaves. Times are milliseconds. */
export interface Behaviour {
  /** From its spawn to `readied`; `null` hangs. */
  readonly boot: number | null;
  /** From its spawn to its listening sockets; `null` is unknown to the master before it is ready. */
  readonly listensAfter: number | null;
  /** It exits with this code instead of becoming ready. */
  readonly failsWith: number | null;
  /** What it says of its failure before it exits; `null` says nothing. */
  readonly failsBy: FailureKind | null;
  /** It cannot even be forked. */
  readonly forkFails: boolean;
  /** From the order to drain to its exit; `null` ignores it. */
  readonly drain: number | null;
  /** Its exit code after a drain. */
  readonly drainsWith: number;
  /** It exits with code 1 so long after it was ready, whatever it is told; `null` lives on. */
  readonly diesAfter: number | null;
  /** It blocks so long after it was ready: no heartbeats, no drain; `null` never. */
  readonly blocksAfter: number | null;
  /** It breaks the protocol so long after its spawn, and goes on doing so; `null` never. */
  readonly misbehavesAfter: number | null;
  /** Whether SIGABRT ends it: a stopped process does not notice. */
  readonly heedsAbort: boolean;
  /** From a signal that ends it to its exit. */
  readonly dying: number;
  /** Whether its stack can be had when it is stuck. */
  readonly showsStack: boolean;
  /** Its app says so long after the spawn that the worker could lead; `null` never does. */
  readonly couldLead: number | null;
  /** From the order to drain to the end of what it does as the leader; `null` goes on to the end of the process. */
  readonly resigns: number | null;
  /** What it does as the leader fails so long after it has begun; `null` never. */
  readonly leadFails: number | null;
  readonly limits: Limits;
}

export const wellBehaved: Behaviour = {
  boot: 100,
  listensAfter: null,
  failsWith: null,
  failsBy: null,
  forkFails: false,
  drain: 50,
  drainsWith: 0,
  diesAfter: null,
  blocksAfter: null,
  misbehavesAfter: null,
  heedsAbort: true,
  dying: 1,
  showsStack: true,
  couldLead: null,
  resigns: 20,
  leadFails: null,
  limits: { requests: null, lifetime: null },
};

/** What a process needs of the world it lives in. */
export interface World {
  readonly now: number;
  /** Milliseconds between heartbeats. */
  readonly beatEvery: number;
  /** Share of the time in which the event loop of each worker is busy. */
  readonly utilisation: number;
  at(time: number, run: () => void): void;
  post(event: Event): void;
  /** Uniform in [0, 1). */
  jitter(): number;
}

export const noFigures: Figures = {
  requests: 0,
  inFlight: 0,
  connections: 0,
  rss: 50e6,
  heapUsed: 0,
  loopDelayP99: 0,
  loopDelayMax: 0,
  loopUtilisation: 0,
  cpu: 0,
  latencyP50: null,
  latencyP99: null,
};

/** From the order to drain to the last connection that is accepted. */
const closing = 5;
/** From a spare's sockets to `readied`. */
const joining = 1;
/** Between two breaches of the protocol. */
const misbehavesEvery = 200;

export class SimulatedProcess {
  readonly #id: number;
  readonly #world: World;
  readonly #behaviour: Behaviour;
  figures: Figures = noFigures;
  alive = true;
  /** Whether it does what only one may do. */
  leads = false;
  #isLeaving = false;
  #term = 0;
  #isSpare: boolean;
  #blocked = false;

  constructor(id: number, world: World, behaviour: Behaviour, isSpare = false) {
    this.#isSpare = isSpare;
    this.#id = id;
    this.#world = world;
    this.#behaviour = behaviour;
  }

  start(): void {
    const { boot, couldLead, forkFails, limits, listensAfter, misbehavesAfter } = this.#behaviour;
    if (forkFails) {
      this.alive = false;
      this.#world.at(this.#world.now, () =>
        this.#world.post({ type: 'workerSpawnFailed', id: this.#id, reason: 'EMFILE', jitter: this.#world.jitter() }),
      );
      return;
    }
    this.#after(0, () => this.#world.post({ type: 'workerSpawned', id: this.#id, pid: 1000 + this.#id, limits }));
    if (listensAfter !== null)
      this.#after(listensAfter, () => this.#world.post({ type: 'workerListened', id: this.#id }));
    if (couldLead !== null) this.#after(couldLead, () => this.#world.post({ type: 'workerCandidate', id: this.#id }));
    if (boot !== null) this.#after(boot, () => this.#endBoot());
    if (misbehavesAfter !== null) this.#after(misbehavesAfter, () => this.#misbehave());
  }

  /** It gets its sockets. */
  place(): void {
    this.#isSpare = false;
    this.#after(0, () => this.#world.post({ type: 'workerListened', id: this.#id }));
    this.#after(joining, () => {
      if (!this.#blocked) this.#world.post({ type: 'workerReadied', id: this.#id });
    });
  }

  drain(within: number): void {
    const { drain, drainsWith } = this.#behaviour;
    if (this.#blocked) return;
    this.leave();
    this.#after(Math.min(closing, drain ?? closing), () => this.#world.post({ type: 'workerClosed', id: this.#id }));
    if (drain === null) return;
    this.#after(Math.min(drain, within), () => this.exit(drainsWith, null));
  }

  /** It is told to lead. */
  lead(): void {
    if (!this.alive || this.#blocked) return;
    if (this.#isLeaving) {
      this.#after(0, () => this.#resign(null));
      return;
    }
    this.leads = true;
    this.#term += 1;
    const term = this.#term;
    const { leadFails } = this.#behaviour;
    if (leadFails === null) return;
    this.#after(leadFails, () => {
      if (this.leads && !this.#isLeaving && !this.#blocked && term === this.#term) this.#resign('Error: it throws');
    });
  }

  /** Told to leave, or without a master: it ends what it does as the leader. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    const { resigns } = this.#behaviour;
    if (!this.leads || resigns === null) return;
    this.#after(resigns, () => {
      if (!this.#blocked) this.#resign(null);
    });
  }

  #resign(reason: string | null): void {
    this.leads = false;
    this.#world.post({ type: 'workerResigned', id: this.#id, reason, jitter: this.#world.jitter() });
  }

  kill(signal: 'SIGABRT' | 'SIGKILL'): void {
    if (signal === 'SIGABRT' && !this.#behaviour.heedsAbort) return;
    this.#after(this.#behaviour.dying, () => this.exit(null, signal));
  }

  showStack(): void {
    if (this.#behaviour.showsStack) this.#after(100, () => this.#world.post({ type: 'stackCaptured', id: this.#id }));
  }

  /** It ends by itself, or is ended from outside. */
  exit(code: number | null, signal: string | null): void {
    if (!this.alive) return;
    this.alive = false;
    this.leads = false;
    this.#world.post({ type: 'workerExited', id: this.#id, code, signal, jitter: this.#world.jitter() });
  }

  block(): void {
    this.#blocked = true;
  }

  unblock(): void {
    this.#blocked = false;
  }

  #endBoot(): void {
    const { failsWith, failsBy, diesAfter, blocksAfter } = this.#behaviour;
    if (failsWith !== null) {
      if (failsBy !== null)
        this.#world.post({ type: 'workerFailed', id: this.#id, kind: failsBy, reason: 'Error: it throws' });
      this.exit(failsWith, null);
      return;
    }
    this.#world.post({ type: this.#isSpare ? 'workerBooted' : 'workerReadied', id: this.#id });
    if (diesAfter !== null) this.#after(diesAfter, () => this.exit(1, null));
    if (blocksAfter !== null) this.#after(blocksAfter, () => this.block());
    this.#beat();
  }

  #beat(): void {
    this.#after(this.#world.beatEvery, () => {
      const figures = { ...this.figures, loopUtilisation: this.#world.utilisation };
      if (!this.#blocked) this.#world.post({ type: 'workerBeat', id: this.#id, figures });
      this.#beat();
    });
  }

  #misbehave(): void {
    this.#world.post({ type: 'workerMisbehaved', id: this.#id, reason: 'no JSON' });
    this.#after(misbehavesEvery, () => this.#misbehave());
  }

  #after(within: number, run: () => void): void {
    this.#world.at(this.#world.now + within, () => {
      if (this.alive) run();
    });
  }
}
