/** Facts that come in. Past participles; everything random in them was drawn by the adapter that reports them. */
import type { FailureKind, Figures, Limits, Policy } from './model.ts';

export type Event =
  /** The process exists. */
  | { readonly type: 'workerSpawned'; readonly id: number; readonly pid: number; readonly limits: Limits }
  /** Fork failed: there is no process, and no `exited` will follow. `jitter` is uniform in [0, 1). */
  | { readonly type: 'workerSpawnFailed'; readonly id: number; readonly reason: string; readonly jitter: number }
  /** The worker was given a listening socket. */
  | { readonly type: 'workerListened'; readonly id: number }
  /** The worker cannot become ready: an app's own check fails, for example. */
  | { readonly type: 'workerHindered'; readonly id: number; readonly reason: string | null }
  /** The worker listens and its app says it can serve. */
  | { readonly type: 'workerReadied'; readonly id: number }
  | { readonly type: 'workerBeat'; readonly id: number; readonly figures: Figures }
  /** The app threw where nobody caught it; the exit follows. */
  | { readonly type: 'workerFailed'; readonly id: number; readonly kind: FailureKind; readonly reason: string }
  | {
      readonly type: 'workerExited';
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
      readonly jitter: number;
    }
  /** The worker accepts no more connections. */
  | { readonly type: 'workerClosed'; readonly id: number }
  /** Somebody sent the worker itself a TERM. */
  | { readonly type: 'workerTermed'; readonly id: number }
  /** The stack that was asked for is in the log, or cannot be had. */
  | { readonly type: 'stackCaptured'; readonly id: number }
  /** A worker broke the protocol. */
  | { readonly type: 'workerMisbehaved'; readonly id: number; readonly reason: string }
  | { readonly type: 'reloadRequested' }
  | { readonly type: 'reloadPrepared'; readonly reload: number; readonly policy: Policy }
  | { readonly type: 'reloadPrepareFailed'; readonly reload: number; readonly reason: string }
  | { readonly type: 'scaleRequested'; readonly by: number }
  | { readonly type: 'resizeRequested'; readonly to: number }
  | { readonly type: 'recycleRequested'; readonly slot: number | null }
  /** WINCH. */
  | { readonly type: 'poolDismissed' }
  | { readonly type: 'reopenRequested' }
  /** USR2. */
  | { readonly type: 'upgradeRequested' }
  /** The new master's process exists. */
  | { readonly type: 'successorSpawned'; readonly pid: number }
  /** All workers of the new master are ready. */
  | { readonly type: 'successorReadied' }
  /** The new master has the pidfile, the control socket and the admin address. */
  | { readonly type: 'successorTook' }
  /** The new master was told to stop the service. */
  | { readonly type: 'successorStopping' }
  /** The new master is gone, or never was. */
  | { readonly type: 'successorGone'; readonly reason: string }
  /** The master that started us has left the service to us, and drains. */
  | { readonly type: 'predecessorYielded' }
  /** It does not leave after all. */
  | { readonly type: 'predecessorStayed' }
  /** It is gone. */
  | { readonly type: 'predecessorGone' }
  | { readonly type: 'stopRequested'; readonly kind: 'graceful' | 'quick'; readonly status?: number }
  /** Nothing happened but time. */
  | { readonly type: 'ticked' };
