/**
 * What is known about the pool, as plain immutable data.
 *
 * Times are milliseconds of the master's running clock: monotonic, and standing still while the master itself is
 * stopped. Nothing in `core/` reads a clock, draws a random number or does I/O.
 */

/** Why a worker is asked to leave. */
export type RetireReason =
  | 'reload'
  | 'requests'
  | 'memory'
  | 'lifetime'
  | 'signal'
  | 'operator'
  | 'scale'
  | 'upgrade'
  | 'shutdown';

/** Why a worker is killed. */
export type KillReason = 'boot-timeout' | 'stuck' | 'drain-timeout' | 'shutdown' | 'reload-rejected' | 'misbehaved';

/** A worker's state. There are no booleans beside it that could contradict it. */
export type Phase =
  | { readonly name: 'booting'; readonly since: number }
  | { readonly name: 'ready'; readonly since: number }
  | {
      readonly name: 'draining';
      readonly since: number;
      readonly deadline: number;
      readonly reason: RetireReason;
      readonly quick: boolean;
      /** It has not said yet that it accepts no more connections. */
      readonly accepts: boolean;
    }
  | {
      readonly name: 'killed';
      readonly since: number;
      readonly reason: KillReason;
      readonly signal: 'SIGABRT' | 'SIGKILL';
    };

/**
 * What a worker says of itself in a heartbeat, by name. The core reads two of the figures and carries the others;
 * `protocol/figures.ts` says what they are.
 */
export interface Figures {
  /** Requests served in its life. */
  readonly requests: number;
  /** Resident set size, bytes. */
  readonly rss: number;
  readonly [name: string]: number | null;
}

/** When a worker is spent; drawn once per life, jitter included. `null` is never. */
export interface Limits {
  readonly requests: number | null;
  /** Milliseconds of life. */
  readonly lifetime: number | null;
}

export interface Worker {
  /** Unique in the master's life. */
  readonly id: number;
  readonly slot: number;
  readonly generation: number;
  /** `null` until the process exists. */
  readonly pid: number | null;
  readonly bornAt: number;
  readonly phase: Phase;
  readonly beatAt: number;
  readonly figures: Figures | null;
  readonly limits: Limits;
  /** Consecutive heartbeats that were over `maxMemory`. */
  readonly overMemory: number;
  /** Set once it is to be replaced for a reason of its own; it serves on until its successor is ready. */
  readonly spent: { readonly reason: RetireReason; readonly from: number } | null;
  /** The last time its stack was asked for; `fatal` where it is to be killed after it. */
  readonly capture: { readonly since: number; readonly fatal: boolean; readonly done: boolean } | null;
  /** Why it is not ready yet, as it says itself. */
  readonly hindrance: string | null;
  /** It was given listening sockets: clients may be with it, even where it has not said that it is ready. */
  readonly listening: boolean;
  /** What it did against the protocol; it is killed for it. */
  readonly offence: string | null;
  /** Indexes of the queues it accepts from, sorted. */
  readonly queues: readonly number[];
}

/** What is remembered of a place in the pool between its workers. */
export interface Slot {
  /** Consecutive boots that failed, or lives too short to count as one. */
  readonly failures: number;
  /** No new worker before this time. */
  readonly notBefore: number;
  /** Workers this slot has had, less one. */
  readonly restarts: number;
}

/** The limits the core needs, of one generation's configuration. */
export interface Policy {
  readonly workers: number;
  /** Ceiling for TTIN and `scale`. */
  readonly maxWorkers: number;
  /** Workers beyond `wanted` while replacing; at least 1. */
  readonly maxSurge: number;
  /** Unready boots at a time. */
  readonly maxBooting: number;
  readonly bootTimeout: number;
  /** Heartbeats missing this long mean stuck; 0 is off. */
  readonly timeout: number;
  /** Heartbeats missing this long are worth a warning that says where the worker is; 0 is off. */
  readonly blockedWarning: number;
  readonly gracefulTimeout: number;
  /** From the order to stop gracefully to the moment nobody new is accepted. */
  readonly drainDelay: number;
  readonly minReady: number;
  readonly progressDeadline: number;
  /** How long after a rollout a crash loop of the new generation brings the old one back; 0 is off. */
  readonly rollbackWindow: number;
  /** Bytes of RSS; 0 is off. */
  readonly maxMemory: number;
  /** Consecutive failed boots after which the master exits; 0 is never. */
  readonly maxBootFailures: number;
  /** What a new master may take to be ready. */
  readonly upgradeTimeout: number;
  readonly upgradeByHand: boolean;
}

/** Why a worker could not boot, as far as it could tell: `load` is an app that cannot even be loaded. */
export type FailureKind = 'load' | 'boot';

interface ReloadBase {
  /** Counts attempts; `generation` counts accepted ones. */
  readonly reload: number;
  readonly since: number;
  /** Set where this reload brings the previous generation back: why. */
  readonly rollback: string | null;
}

/** The progress of a reload. */
export type Reload =
  | { readonly state: 'idle' }
  | (ReloadBase & { readonly state: 'preparing' })
  | (ReloadBase & {
      readonly state: 'canary';
      readonly generation: number;
      readonly policy: Policy;
      /** Set when the canary failed: the reload is to be rejected. */
      readonly failure: string | null;
    })
  | (ReloadBase & {
      readonly state: 'rolling';
      readonly generation: number;
      /** Consecutive failed boots of this generation since its last success. */
      readonly failures: number;
    });

/** How the last reload ended. */
export interface ReloadOutcome {
  /**
   * `rejected` changed nothing; `halted` stopped half way, at full strength; `rolled-back` was completed, crash-looped,
   * and the generation before it serves again.
   */
  readonly verdict: 'completed' | 'rejected' | 'halted' | 'rolled-back';
  readonly reload: number;
  /** The generation that serves after it. */
  readonly generation: number;
  readonly reason: string | null;
  readonly duration: number;
}

/**
 * The progress of an upgrade, as the master that is to be replaced sees it. `byHand`: an operator does the rest of it;
 * `dismissed`: and has said already that our workers are to leave.
 */
export type Upgrade =
  | { readonly state: 'none' }
  /** A reload that is under way ends first. */
  | { readonly state: 'asked'; readonly since: number; readonly byHand: boolean; readonly dismissed: boolean }
  /** The new master boots its fleet. */
  | {
      readonly state: 'starting';
      readonly since: number;
      readonly deadline: number;
      /** Since when its whole fleet is ready. */
      readonly readySince: number | null;
      readonly byHand: boolean;
      readonly dismissed: boolean;
    }
  /** It serves, and our workers leave; without an operator's hand the master follows them. */
  | {
      readonly state: 'ready';
      readonly since: number;
      /** For what is to be `taken`. */
      readonly deadline: number;
      /** The pidfile and the control socket are the new one's. */
      readonly taken: boolean;
      readonly byHand: boolean;
      /** Whether there were no workers before it either. */
      readonly wasDormant: boolean;
    }
  /** It failed, and is on its way out. */
  | { readonly state: 'ending'; readonly since: number };

/** How the last upgrade ended. */
export interface UpgradeOutcome {
  readonly verdict: 'completed' | 'failed';
  /** Counts attempts. */
  readonly upgrade: number;
  /** Of the new master. */
  readonly pid: number | null;
  readonly reason: string | null;
  readonly duration: number;
}

/** A new generation that has to prove itself after its rollout. */
export interface Probation {
  readonly generation: number;
  readonly until: number;
  /** Workers of it that crashed. */
  readonly crashes: number;
}

/** Everything observed, and everything decided that is not yet done. */
export interface Fleet {
  readonly policy: Policy;
  /** Workers there should be. */
  readonly wanted: number;
  /** The generation in force. */
  readonly generation: number;
  readonly reload: Reload;
  /** A reload was asked for and has not begun. */
  readonly reloadPending: boolean;
  readonly reloads: number;
  readonly lastReload: ReloadOutcome | null;
  readonly probation: Probation | null;
  /** A rollout stopped half way: older workers are no longer stale. */
  readonly halted: boolean;
  /** WINCH: no workers, sockets kept. */
  readonly dormant: boolean;
  readonly upgrade: Upgrade;
  readonly upgrades: number;
  readonly lastUpgrade: UpgradeOutcome | null;
  /** The master that started us: it `serves` until it has left everything to us, and then `leaves`. */
  readonly predecessor: 'none' | 'serves' | 'leaves';
  /** Of the new master. */
  readonly successor: number | null;
  readonly stopping: {
    readonly kind: 'graceful' | 'quick';
    readonly deadline: number;
    readonly listening: boolean;
    /** Until then everything goes on as before, but for readiness: whoever sends clients here is to notice. */
    readonly acceptUntil: number;
    readonly status: number;
  } | null;
  readonly exited: boolean;
  /** `starting` until the first worker is ready, `partial` until all were. */
  readonly start: 'starting' | 'partial' | 'complete';
  /** Consecutive boots that failed, over all slots, and what kind they were. */
  readonly bootFailures: { readonly count: number; readonly load: number };
  /** Log files are to be reopened. */
  readonly reopen: boolean;
  /** Queues per listener; 1 is a shared queue. */
  readonly queueCount: number;
  readonly slots: ReadonlyMap<number, Slot>;
  readonly workers: readonly Worker[];
  readonly nextWorkerId: number;
}

/** Fixed times, milliseconds, that nobody has needed to configure. */
export const fixed = {
  /** From SIGABRT to SIGKILL. */
  killGrace: 1_000,
  /** From the end of a worker's drain to SIGKILL: the worker keeps the deadline itself, this is the backstop. */
  drainMargin: 1_500,
  /** What requests in flight are given in a quick stop. */
  quickStop: 1_000,
  /** A worker ready for less than this long counts as one that failed to boot. */
  stableAfter: 2_000,
  /**
   * From a TERM sent to a worker to its retirement. A service manager signals the whole group, and the worker may be
   * faster to say so than the master's own TERM.
   */
  askedGrace: 500,
  /** From the order to drain to the last connection that is accepted; a stuck worker does not say it, and accepts none. */
  acceptLimit: 1_000,
  /** What an inspector is given to answer with a stuck worker's stack. */
  captureLimit: 3_000,
  /** Between two warnings about the same worker. */
  warnEvery: 60_000,
  /** Consecutive failed boots that halt a rollout. */
  rolloutFailures: 3,
  /** Crashes that a new generation is allowed at least before it is taken for a crash loop. */
  rollbackCrashes: 3,
  /** Heartbeats in a row over `maxMemory`, and the age below which a worker's memory is not looked at. */
  memorySamples: 3,
  memoryMinAge: 10_000,
  /** Generations that may drain at a time; a further reload waits for the oldest to leave. */
  drainingGenerations: 5,
  /** Workers of one slot that may be on their way out at a time; a further replacement waits for the oldest to leave. */
  leavingPerSlot: 5,
} as const;

/** A fleet of no workers, about to start `policy.workers`. */
export function initialFleet(policy: Policy, queueCount = 1): Fleet {
  return {
    policy,
    wanted: policy.workers,
    generation: 1,
    reload: { state: 'idle' },
    reloadPending: false,
    reloads: 0,
    lastReload: null,
    probation: null,
    halted: false,
    dormant: false,
    upgrade: { state: 'none' },
    upgrades: 0,
    lastUpgrade: null,
    predecessor: 'none',
    successor: null,
    stopping: null,
    exited: false,
    start: 'starting',
    bootFailures: { count: 0, load: 0 },
    reopen: false,
    queueCount,
    slots: new Map(),
    workers: [],
    nextWorkerId: 1,
  };
}
