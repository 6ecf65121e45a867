/** What the control socket, the page and `prefork top` show of the service: plain data, one version of it. */
import type { CanaryStage, ReloadHeld, ReloadOutcome, Upgrade, UpgradeOutcome } from '../core/model.ts';
import type { ExitReport } from './exit-report.ts';
import type { WorkerStatus } from './figures.ts';
import type { MigrationStatus } from './migration.ts';
import type { ReleaseStatus } from './release-text.ts';

export type { WorkerStatus } from './figures.ts';

/** Version of everything the control interface says; a field may be added without a new one. */
export const statusVersion = 1;

/**
 * `degraded`: enough workers are ready, but not all; `not_ready`: fewer than `readyQuorum`; `overloaded`: all that are ready
 * turn requests away.
 */
export type Health = 'healthy' | 'degraded' | 'not_ready' | 'draining' | 'overloaded';

/** Times of day are ISO 8601 strings, durations seconds, sizes bytes, unless a comment says otherwise. */
export interface Status {
  readonly version: typeof statusVersion;
  /** Version of prefork. */
  readonly prefork: string;
  /** Version of Node, as `v22.1.0`. */
  readonly node: string;
  /** Of the service. */
  readonly name: string;
  /** Of the master. */
  readonly pid: number;
  /** Seconds since the master was started. */
  readonly uptime: number;
  /** The generation in force. */
  readonly generation: number;
  readonly state: 'starting' | 'running' | 'reloading' | 'dormant' | 'stopping';
  readonly health: Health;
  /** Absolute path of the app. */
  readonly app: string;
  /** Of each generation that has workers, and of the one in force, the newest first. Earlier versions do not say it. */
  readonly releases?: readonly ReleaseStatus[];
  /** Workers there should be, and of those how many are ready. */
  readonly wanted: number;
  readonly ready: number;
  /** Workers without a slot that there should be, and of those how many have booted. Earlier versions do not say it. */
  readonly spares?: { readonly wanted: number; readonly ready: number };
  /** Between which numbers the workers follow their load; left out where their number is fixed. */
  readonly scaling?: {
    readonly min: number;
    readonly max: number;
    /** The last change; `ago` is seconds. */
    readonly last: { readonly from: number; readonly to: number; readonly reason: string; readonly ago: number } | null;
  };
  /** The worker that does what only one of the service does (`onLeader`); left out where the app has nothing of the kind. */
  readonly leader?: LeaderStatus | null;
  readonly reload: {
    readonly running: {
      readonly reload: number;
      readonly step: 'preparing' | 'canary' | 'refused' | 'rolling';
      /** Where its first new worker is, in step `canary`. An earlier version does not say. */
      readonly stage?: CanaryStage['name'];
      /** Seconds since it began. */
      readonly uptime: number;
      /** The canary is judged by its traffic; left out if it is not, or not yet. */
      readonly trial?: TrialStatus;
      /** How the new generation's traffic compares, in words; left out where that is not known. */
      readonly compared?: string;
    } | null;
    readonly last: LastReload | null;
  };
  readonly upgrade: {
    readonly running: { readonly upgrade: number; readonly step: UpgradeStep; readonly pid: number | null } | null;
    readonly last: LastUpgrade | null;
  };
  /** Connections that went to another worker, and why others could not. A master of an older version does not say. */
  readonly migration?: MigrationStatus;
  /** The last workers that ended as they should not have, oldest first, 20 at most. Earlier versions do not say it. */
  readonly exits?: readonly ExitReport[];
  readonly listeners: readonly ListenerStatus[];
  readonly workers: readonly WorkerStatus[];
}

export interface LeaderStatus {
  readonly slot: number | null;
  /** Its number, as `id` of a worker. */
  readonly worker: number;
  readonly pid: number | null;
  /** Seconds since it began. */
  readonly uptime: number;
}

export interface LastReload {
  /** Counts attempts. */
  readonly reload: number;
  readonly verdict: (ReloadOutcome | ReloadHeld)['verdict'];
  /** The generation that serves after it. */
  readonly generation: number;
  /** Why it did not complete. */
  readonly reason: string | null;
  /** Seconds. */
  readonly duration: number;
  /** What its trial said, in figures; left out if there was none. */
  readonly traffic?: string;
}

/** How far the trial of a canary is. */
export interface TrialStatus {
  /** Seconds of it in all, and those that are left. */
  readonly seconds: number;
  readonly left: number;
  readonly minRequests: number;
  /** What it has served, and the old generation meanwhile; `p99` in milliseconds, `null` if it is not known. */
  readonly fresh: ServedStatus;
  readonly old: ServedStatus;
}

export interface ServedStatus {
  readonly requests: number;
  readonly errors: number;
  readonly p99: number | null;
}

/** `ready`: the new master serves, and this one is about to leave, or waits for the operator to end it. */
export type UpgradeStep = Exclude<Upgrade['state'], 'none'>;

export interface LastUpgrade {
  /** Counts attempts. */
  readonly upgrade: number;
  readonly verdict: UpgradeOutcome['verdict'];
  /** Of the new master. */
  readonly pid: number | null;
  readonly reason: string | null;
  /** Seconds. */
  readonly duration: number;
}

export interface ListenerStatus {
  /** As in the setting `bind`. */
  readonly address: string;
  readonly queues: number;
  /** Connections that may wait in each queue. */
  readonly backlog: number;
  /** Connections that wait to be accepted, over all queues; `null` if the system does not say. */
  readonly waiting: number | null;
  /** Why clients cannot connect to it any more; left out if they can. */
  readonly problem?: string;
}
