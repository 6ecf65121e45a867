/**
 * Facts that come in: the subject and a past participle. Everything random in them is drawn by the adapter that reports
 * them.
 */
import type { Death } from './death.ts';
import type { Comparison, FailureKind, Figures, Limits, Policy, RetireReason } from './model.ts';

/** What happens to a worker, or what it says. */
export type WorkerEvent =
  /** The process exists. */
  | { readonly type: 'workerSpawned'; readonly id: number; readonly pid: number; readonly limits: Limits }
  /** Fork failed: there is no process, and no `workerExited` will follow. `jitter` is uniform in [0, 1). */
  | { readonly type: 'workerSpawnFailed'; readonly id: number; readonly reason: string; readonly jitter: number }
  /** The worker has a listening socket. */
  | { readonly type: 'workerListened'; readonly id: number }
  /** The worker cannot become ready: a check of the app fails, for example. `null`: nothing is in the way any more. */
  | { readonly type: 'workerHindered'; readonly id: number; readonly reason: string | null }
  /** A spare has booted: it can serve as soon as it gets its sockets. */
  | { readonly type: 'workerBooted'; readonly id: number }
  /** The worker listens and its app says it can serve. */
  | { readonly type: 'workerReadied'; readonly id: number }
  | { readonly type: 'workerBeat'; readonly id: number; readonly figures: Figures }
  /** The app threw an error that nothing caught; the exit follows. */
  | { readonly type: 'workerFailed'; readonly id: number; readonly kind: FailureKind; readonly reason: string }
  | {
      readonly type: 'workerExited';
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
      readonly jitter: number;
      /** What is known of its end, for the log. */
      readonly death?: Death;
    }
  /** The worker accepts no more connections. */
  | { readonly type: 'workerClosed'; readonly id: number }
  /** The worker itself received a TERM, not from the master. */
  | { readonly type: 'workerTermed'; readonly id: number }
  /** Its app has work that only one worker of the service does. */
  | { readonly type: 'workerCandidate'; readonly id: number }
  /** It leads no more: all of that work has ended. `reason`: it failed; `null`: the worker was told to leave. */
  | {
      readonly type: 'workerResigned';
      readonly id: number;
      readonly reason: string | null;
      readonly jitter: number;
    }
  /** The stack that was asked for is in the log, or cannot be had. */
  | { readonly type: 'stackCaptured'; readonly id: number }
  /**
   * The worker does what stops it for a while, as a heap snapshot: so many milliseconds without a heartbeat are no fault,
   * and others serve meanwhile. 0: it is over.
   */
  | { readonly type: 'workerExcused'; readonly id: number; readonly within: number }
  /** A worker broke the protocol. */
  | { readonly type: 'workerMisbehaved'; readonly id: number; readonly reason: string };

export type ReloadEvent =
  /** `hold`: it stops at its canary, until somebody promotes or aborts it. */
  | { readonly type: 'reloadRequested'; readonly hold?: boolean }
  /** The canary is good enough: the rest may follow. */
  | { readonly type: 'promoteRequested' }
  /** The reload under way is to be given up, if it has changed nothing yet. */
  | { readonly type: 'abortRequested' }
  /** The generation before is to serve again. */
  | { readonly type: 'rollbackRequested' }
  | { readonly type: 'reloadPrepared'; readonly reload: number; readonly policy: Policy }
  | { readonly type: 'reloadPrepareFailed'; readonly reload: number; readonly reason: string }
  /** What the generation that is being judged has served, and the old one beside it. */
  | { readonly type: 'trafficCompared'; readonly comparison: Comparison }
  /** The command that tried the canary has ended; `reason` is what it found wrong, `null` if nothing. */
  | { readonly type: 'canaryVerified'; readonly reload: number; readonly reason: string | null };

/** What an operator asks of the pool. */
export type PoolEvent =
  | { readonly type: 'scaleRequested'; readonly by: number }
  | { readonly type: 'resizeRequested'; readonly to: number }
  /** Bytes of memory that may be used in addition; asked for while the pool follows its load. */
  | { readonly type: 'memoryMeasured'; readonly available: number | null }
  | { readonly type: 'recycleRequested'; readonly slot: number | null; readonly reason?: RetireReason }
  /** WINCH. */
  | { readonly type: 'poolDismissed' };

/** What happens between two masters. */
export type UpgradeEvent =
  /** USR2. */
  | { readonly type: 'upgradeRequested' }
  /** The new master's process exists. */
  | { readonly type: 'successorSpawned'; readonly pid: number }
  /** All workers of the new master are ready. */
  | { readonly type: 'successorReadied' }
  /** The new master has the pidfile, the control socket and the admin address. */
  | { readonly type: 'successorTook' }
  /** The new master received the order to stop the service. */
  | { readonly type: 'successorStopping' }
  /** The new master was asked for a reload. */
  | { readonly type: 'successorReloading' }
  /** The new master is gone, or never was. */
  | { readonly type: 'successorGone'; readonly reason: string }
  /** The master that started us has left the service to us, and drains. */
  | { readonly type: 'predecessorYielded' }
  /** It does not leave after all. */
  | { readonly type: 'predecessorStayed' }
  /** It has told this one to end, and waits for that. */
  | { readonly type: 'predecessorWaits' }
  /** It is gone. */
  | { readonly type: 'predecessorGone' };

export type Event =
  | WorkerEvent
  | ReloadEvent
  | PoolEvent
  | UpgradeEvent
  | { readonly type: 'reopenRequested' }
  /** No other master, and no worker of one, leads: the right to name a leader is this master's. */
  | { readonly type: 'leadClaimed'; readonly claim: number }
  | { readonly type: 'stopRequested'; readonly kind: 'graceful' | 'quick'; readonly status?: number }
  /** The master did not run for so many milliseconds when it should have, and most likely its workers did not either. */
  | { readonly type: 'starved'; readonly late: number }
  /** Nothing happened but time. */
  | { readonly type: 'ticked' };

/** The event of a type, or of several. */
export type EventOf<T extends Event['type']> = Extract<Event, { type: T }>;
