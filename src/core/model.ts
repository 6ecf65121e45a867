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
  | 'boot-timeout'
  | 'address'
  | 'shutdown';

/** Why a worker is killed. */
export type KillReason = 'boot-timeout' | 'stuck' | 'drain-timeout' | 'shutdown' | 'reload-rejected' | 'misbehaved';

/**
 * Why a spare is placed: the worker of the slot is `gone`, the pool has a slot more (`scale`), or the slot's worker is to
 * be replaced.
 */
export type PlaceReason = 'gone' | 'scale' | 'recycle';

/** A worker's state. There are no booleans beside it that could contradict it. */
export type Phase =
  | { readonly name: 'booting'; readonly since: number }
  /** It has booted without a slot, and asks for its sockets in vain: until it is placed it gets none. */
  | { readonly name: 'spare'; readonly since: number }
  /** A spare that was given a slot; its sockets are on their way. */
  | { readonly name: 'joining'; readonly since: number }
  | { readonly name: 'ready'; readonly since: number }
  | {
      readonly name: 'draining';
      readonly since: number;
      readonly deadline: number;
      readonly reason: RetireReason;
      readonly quick: boolean;
      /** Somebody waits for its end. If nobody does, it keeps idle connections open for as long as is useful to them. */
      readonly awaited: boolean;
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
 * What a worker says of itself in a heartbeat, by name. The core reads three of the figures and carries the others;
 * `protocol/figures.ts` says what they are.
 */
export interface Figures {
  /** Requests served in its life. */
  readonly requests: number;
  /** Resident set size, bytes. */
  readonly rss: number;
  /** Open connections. */
  readonly connections: number;
  readonly [name: string]: number | null;
}

/**
 * What a worker does with connections that could as well be another worker's. It gives idle ones away while it has more than
 * `keep`, and takes what others give at once while it has fewer than `take`; `null` is without a limit.
 */
export interface Moves {
  readonly keep: number | null;
  readonly take: number | null;
  /** Whether it gives those at work before idle ones: a canary has too few requests. */
  readonly atWork: boolean;
  /** Whether another master is there: its workers inherit what this one has if its own master dies. */
  readonly heirs: boolean;
}

export const moves = {
  /** It neither gives nor takes. */
  none: { keep: null, take: 0 },
  /** It takes what others give. */
  free: { keep: null, take: null },
  giveAll: { keep: 0, take: 0 },
} as const satisfies Readonly<Record<string, Omit<Moves, 'atWork' | 'heirs'>>>;

/** When a worker is spent; drawn once per life, jitter included. `null` is never. */
export interface Limits {
  readonly requests: number | null;
  /** Milliseconds of life. */
  readonly lifetime: number | null;
}

/** All that is known of a worker but its place. */
export interface WorkerRecord {
  /** Unique in the master's life. */
  readonly id: number;
  readonly generation: number;
  /** `null` until the process exists. */
  readonly pid: number | null;
  readonly bornAt: number;
  readonly beatAt: number;
  readonly figures: Figures | null;
  readonly limits: Limits;
  /** Share of the last seconds in which its event loop was not idle, smoothed; followed only if the pool's size is. */
  readonly busy: number;
  /** Consecutive heartbeats that were over `maxMemory`. */
  readonly overMemory: number;
  /** Set once it is to be replaced for a reason of its own; it serves on until its successor is ready. */
  readonly spent: { readonly reason: RetireReason; readonly from: number } | null;
  /** The last time its stack was asked for; `fatal` if it is killed after that. */
  readonly capture: { readonly since: number; readonly fatal: boolean; readonly done: boolean } | null;
  /** Until then it may be silent: it does what an operator has asked for, and serves nobody. */
  readonly excusedUntil: number;
  /** Why it is not ready yet, as it says itself. */
  readonly hindrance: string | null;
  /** It has listening sockets: it may have clients, even if it has not said that it is ready. */
  readonly listening: boolean;
  /** Its app has work that one worker of the service does: it may lead. */
  readonly candidate: boolean;
  /** How it broke the protocol; it is killed for it. */
  readonly offence: string | null;
  /** It has sockets, and accepts nobody from them until its generation has been verified. */
  readonly held: boolean;
  /** Indexes of the queues it accepts from, sorted. */
  readonly queues: readonly number[];
  /** What it was told last. */
  readonly moves: Moves;
}

/** A worker that has a place in the pool. */
export interface SeatedWorker extends WorkerRecord {
  readonly slot: number;
  readonly phase: Exclude<Phase, { readonly name: 'spare' }>;
}

/** A worker that was started as a spare and has no place yet; it never serves. */
export interface SpareWorker extends WorkerRecord {
  readonly slot: null;
  readonly phase: Exclude<Phase, { readonly name: 'joining' | 'ready' }>;
}

export type Worker = SeatedWorker | SpareWorker;

/** A phase that a worker may have with a place and without one. */
export type CommonPhase = SeatedWorker['phase'] & SpareWorker['phase'];

/** What is remembered of a place in the pool between its workers. */
export interface Slot {
  /** Consecutive boots that failed, or lives too short to count as one. */
  readonly failures: number;
  /** No new worker before this time. */
  readonly notBefore: number;
  /** Workers this slot has had, less one. */
  readonly restarts: number;
}

/** How many workers there may be. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** What the load asks for. */
export type Trend = 'up' | 'down' | 'steady';

/** What is known for growing and shrinking the pool by its load. */
export interface Scaling {
  readonly trend: Trend;
  readonly since: number;
  /** It was said that there is no memory for more. */
  readonly isHeld: boolean;
  readonly last: { readonly from: number; readonly to: number; readonly reason: string; readonly at: number } | null;
}

/** How much longer than the old generation's the 99th percentile may be, or how long in milliseconds whatever that is. */
export type LatencyLimit = { readonly times: number } | { readonly milliseconds: number };

/** How a new generation is judged by its traffic. */
export interface CanaryPolicy {
  /** Milliseconds that the canary serves beside the old generation before the rest follow. */
  readonly for: number;
  /** Share of answers with status 5xx that it may have beyond the old generation's, 0 to 1; `null` is not judged. */
  readonly maxErrorRate: number | null;
  /** `null` is not judged. */
  readonly maxP99: LatencyLimit | null;
  /** With fewer requests there is no verdict. */
  readonly minRequests: number;
  /** What becomes of a canary that had fewer. */
  readonly onUndecided: 'promote' | 'reject' | 'hold';
}

/** What workers of a generation, or of several, have served. */
export interface Served {
  readonly requests: number;
  /** Those with status 5xx. */
  readonly errors: number;
  /** Those whose duration counts: their worker had warmed up. */
  readonly timed: number;
  /** Of those, milliseconds; of all while none is timed, `null` if there are none. */
  readonly p99: number | null;
}

/** A new generation beside the old one, in the same minutes. */
export interface Comparison {
  /** The new one. */
  readonly generation: number;
  readonly fresh: Served;
  readonly old: Served;
  /** Of `fresh.timed`, those that took longer than `maxP99` allows. */
  readonly slower: number;
  /** Of `old.timed`, those that took longer than that. */
  readonly oldSlower: number;
  /** Half-seconds in which more than one in a hundred of them did. */
  readonly slowSpells: number;
  /** What a trial also has, of all requests: those that are not timed as well. */
  readonly cold: Cold;
}

/** What a worker has served from its first request on. */
export interface Cold {
  readonly slower: number;
  /** The last half-seconds in a row in which most requests were slower; 0 if it gets faster. */
  readonly spells: number;
}

/** The limits the core needs, of one generation's configuration. */
export interface Policy {
  readonly workers: number;
  /** Between these the number of workers follows the load; `null` is a fixed number. */
  readonly autoscale: Range | null;
  /** Ceiling for TTIN and `scale`. */
  readonly maxWorkers: number;
  /** Booted workers without a slot that there should be; 0 is off. */
  readonly spares: number;
  /** Workers beyond `wanted` while replacing; at least 1. */
  readonly maxSurge: number;
  /** Workers that boot at a time. */
  readonly maxBooting: number;
  readonly bootTimeout: number;
  /** Heartbeats missing this long mean stuck; 0 is off. */
  readonly timeout: number;
  /** Heartbeats missing this long are worth a warning that says where the worker is; 0 is off. */
  readonly blockedWarning: number;
  readonly gracefulTimeout: number;
  /** From the order to stop gracefully to the moment new connections are no longer accepted. */
  readonly drainDelay: number;
  readonly minReady: number;
  readonly progressDeadline: number;
  /** How long after a rollout a crash loop of the new generation brings the old one back; 0 is off. */
  readonly rollbackWindow: number;
  /** Bytes of RSS; 0 is off. */
  readonly maxMemory: number;
  /** A worker past `maxMemory` writes a heap snapshot at the end of its drain, and blocks meanwhile. */
  readonly snapshots?: boolean;
  /** Consecutive failed boots after which the master exits; 0 is never. */
  readonly maxBootFailures: number;
  /** A canary is tried by a command before it gets clients. */
  readonly verify: boolean;
  /** What a new master may take to be ready. */
  readonly upgradeTimeout: number;
  readonly upgradeByHand: boolean;
  /** Connections outlive their worker: another one gets them. */
  readonly migration: boolean;
  /** Workers that serve are evened out. */
  readonly balance: boolean;
  /** `null`: a generation is not judged by its traffic. */
  readonly canary: CanaryPolicy | null;
}

/** Why a worker could not boot, as far as it could tell: `load` is an app that cannot even be loaded. */
export type FailureKind = 'load' | 'boot';

/**
 * What operators have said of a reload: `hold` keeps it at its canary until somebody decides, `promote` is that decision,
 * and `roll` is neither.
 */
export type ReloadOrder = 'roll' | 'hold' | 'promote';

/** How far a canary has come. Once it has clients, the rest of the fleet lives on as if there were no reload. */
export type CanaryStage =
  | { readonly name: 'boot' }
  /** A command tries it, alone: it has no clients yet. */
  | { readonly name: 'verify'; readonly since: number }
  /** The command found nothing wrong: it gets clients. */
  | { readonly name: 'verified'; readonly since: number }
  /** It serves its share, and its traffic is compared with that of the old generation. */
  | { readonly name: 'trial'; readonly since: number; readonly part: TrialPart }
  /** It serves its share, and somebody is to say what becomes of it. */
  | { readonly name: 'held'; readonly since: number };

/** Which part of the requests a canary that is tried gets, and what is done about it. */
export interface TrialPart {
  /** Connections beyond its share: those that it has bring hardly any requests. */
  readonly extra: number;
  /** When that was looked at, and what had been served by then. */
  readonly at: number;
  readonly fresh: number;
  readonly old: number;
}

interface ReloadBase {
  /** Counts attempts; `generation` counts accepted ones. */
  readonly reload: number;
  readonly since: number;
  /** If this reload brings the previous generation back: why. */
  readonly rollback: string | null;
  readonly order: ReloadOrder;
}

/** The progress of a reload. */
export type Reload =
  | { readonly state: 'idle' }
  | (ReloadBase & { readonly state: 'preparing' })
  | (ReloadBase & {
      readonly state: 'canary';
      readonly generation: number;
      readonly policy: Policy;
      readonly stage: CanaryStage;
    })
  /** It could not be prepared, or its canary failed: it is to be rejected, and changes nothing. */
  | (ReloadBase & { readonly state: 'refused'; readonly reason: string })
  | (ReloadBase & {
      readonly state: 'rolling';
      readonly generation: number;
      /** Since when `progressDeadline` counts: while its canary was out, the rest was not to follow. */
      readonly timedFrom: number;
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
  /** What its trial said, in figures; left out if there was none. */
  readonly traffic?: string;
}

/** A reload that has not ended: its canary is good, and somebody is to say what becomes of it. */
export type ReloadHeld = Omit<ReloadOutcome, 'verdict'> & { readonly verdict: 'held' };

/**
 * The progress of an upgrade, as the master that is being replaced sees it. `byHand`: an operator does the rest of it;
 * `dismissed`: and has already asked for our workers to leave.
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
      /** Since when its whole fleet has been ready. */
      readonly readySince: number | null;
      readonly byHand: boolean;
      readonly dismissed: boolean;
    }
  /** It serves, and our workers leave; unless an operator does the rest by hand, this master follows them. */
  | {
      readonly state: 'ready';
      readonly since: number;
      /** By when it must have `taken` them. */
      readonly deadline: number;
      /** The new master has the pidfile, the control socket and the admin address. */
      readonly taken: boolean;
      /** Since when; `null` as long as it has not. */
      readonly takenSince: number | null;
      /** It was asked for a reload, by this master or by an operator: if it dies, that is ours to do. */
      readonly reloads: boolean;
      /** It was told to stop the service, and does. */
      readonly stops: boolean;
      readonly byHand: boolean;
      /** Whether this master had no workers before the upgrade either. */
      readonly wasDormant: boolean;
    }
  /** It failed, and the new master is on its way out. */
  | {
      readonly state: 'ending';
      readonly since: number;
      /** It was told that requests in flight have a second. */
      readonly quick: boolean;
    };

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
  /** How its traffic was worse than the old generation's, which ended its rollout; `null` if it was not. */
  readonly worse: string | null;
}

/**
 * Who does what only one worker of the service may do. The `right` to name a leader belongs to one master at a time; it is
 * asked for once there is a worker that could lead. A leader is one until it has said that it has ended its work, or its
 * process is gone: draining changes nothing about that.
 */
export interface Leadership {
  readonly right: 'none' | 'asked' | 'held';
  /** Counts the times that the right was asked for. */
  readonly claims: number;
  readonly leader: { readonly id: number; readonly since: number } | null;
  /** Leaders in a row whose work failed soon. */
  readonly failures: number;
  /** No leader before this time. */
  readonly notBefore: number;
}

/** The stop that is under way. */
export interface Stopping {
  readonly kind: 'graceful' | 'quick';
  readonly deadline: number;
  /** The master still holds its listening sockets. */
  readonly listening: boolean;
  /** Until then everything goes on as before, except readiness: what sends clients here is to notice. */
  readonly acceptUntil: number;
  /** Exit status of the master. */
  readonly status: number;
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
  /** What was said of that reload. */
  readonly pendingOrder: Exclude<ReloadOrder, 'promote'>;
  /** An operator wants the generation before back. */
  readonly rollbackPending: boolean;
  readonly reloads: number;
  readonly lastReload: ReloadOutcome | null;
  readonly probation: Probation | null;
  /** How the generation that is being judged compares, as far as it is known. */
  readonly traffic: Comparison | null;
  /** What the last trial said. */
  readonly judged: { readonly reload: number; readonly text: string } | null;
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
  readonly stopping: Stopping | null;
  /** When somebody asked for it; `null` if nobody has. */
  readonly stopAskedAt: number | null;
  readonly exited: boolean;
  /** `starting` until the first worker is ready, `partial` until all were. */
  readonly start: 'starting' | 'partial' | 'complete';
  /** Consecutive boots that failed, over all slots, and what kind they were. */
  readonly bootFailures: { readonly count: number; readonly load: number };
  /** Log files are to be reopened. */
  readonly reopen: boolean;
  readonly leadership: Leadership;
  /** Connections lie unevenly, and workers were told their shares. */
  readonly balancing: boolean;
  readonly scaling: Scaling;
  /** Bytes of memory that may be used in addition to what is used now; `null` if that is not known, or not asked. */
  readonly memory: number | null;
  /** Queues per listener; 1 is a shared queue. */
  readonly queueCount: number;
  readonly slots: ReadonlyMap<number, Slot>;
  /** What is remembered of the spares that are gone: boots that failed in a row, and when the next one may begin. */
  readonly spareBoots: Pick<Slot, 'failures' | 'notBefore'>;
  readonly workers: readonly Worker[];
  readonly nextWorkerId: number;
}

/**
 * A fleet of no workers, about to start `policy.workers`.
 *
 * @param before how many the master before this one has: a pool that follows its load begins where that one is
 */
export function initialFleet(policy: Policy, queueCount = 1, before = 0): Fleet {
  return {
    policy,
    wanted: sizeUnder(policy, before),
    generation: 1,
    reload: { state: 'idle' },
    reloadPending: false,
    pendingOrder: 'roll',
    rollbackPending: false,
    reloads: 0,
    lastReload: null,
    probation: null,
    traffic: null,
    judged: null,
    halted: false,
    dormant: false,
    upgrade: { state: 'none' },
    upgrades: 0,
    lastUpgrade: null,
    predecessor: 'none',
    successor: null,
    stopping: null,
    stopAskedAt: null,
    exited: false,
    start: 'starting',
    bootFailures: { count: 0, load: 0 },
    reopen: false,
    leadership: { right: 'none', claims: 0, leader: null, failures: 0, notBefore: 0 },
    balancing: false,
    scaling: { trend: 'steady', since: 0, isHeld: false, last: null },
    memory: null,
    queueCount,
    slots: new Map(),
    spareBoots: { failures: 0, notBefore: 0 },
    workers: [],
    nextWorkerId: 1,
  };
}

/** Why the pool has another size, where that is not its load. */
export const resizedBy = { operator: 'asked for by an operator', settings: 'the setting workers says so' } as const;

/** The size of the pool when a policy comes into force: one that follows its load keeps what the load has made of it. */
export function sizeUnder({ workers, autoscale }: Pick<Policy, 'workers' | 'autoscale'>, before: number): number {
  return autoscale === null ? workers : Math.max(autoscale.min, Math.min(autoscale.max, before));
}

/** A worker that is about to be spawned. @param which without a slot it is a spare */
export function newWorker(which: Pick<SeatedWorker, 'id' | 'slot' | 'generation'>, now: number): SeatedWorker;
export function newWorker(which: Pick<Worker, 'id' | 'slot' | 'generation'>, now: number): Worker;
export function newWorker(which: Pick<Worker, 'id' | 'slot' | 'generation'>, now: number): Worker {
  return {
    ...which,
    pid: null,
    bornAt: now,
    phase: { name: 'booting', since: now },
    beatAt: now,
    figures: null,
    limits: { requests: null, lifetime: null },
    busy: 0,
    overMemory: 0,
    spent: null,
    capture: null,
    excusedUntil: 0,
    hindrance: null,
    listening: false,
    candidate: false,
    offence: null,
    held: false,
    queues: [],
    moves: { ...moves.none, atWork: false, heirs: false },
  };
}
