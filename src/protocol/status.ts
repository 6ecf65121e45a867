/** What the control socket, the page and `prefork top` show of the service: plain data, one version of it. */
import type { ReloadOutcome, Upgrade, UpgradeOutcome } from '../core/model.ts';
import type { WorkerStatus } from './figures.ts';

export type { WorkerStatus } from './figures.ts';

/** Version of everything the control interface says; a field may be added without a new one. */
export const statusVersion = 1;

/** `degraded`: enough workers are ready, but not all; `not_ready`: fewer than `readyQuorum`. */
export type Health = 'healthy' | 'degraded' | 'not_ready' | 'draining';

/** Times of day are ISO texts, spans seconds, sizes bytes, unless a name says otherwise. */
export interface Status {
  readonly version: typeof statusVersion;
  /** Of prefork itself. */
  readonly prefork: string;
  readonly node: string;
  readonly name: string;
  readonly pid: number;
  readonly uptime: number;
  readonly generation: number;
  readonly state: 'starting' | 'running' | 'reloading' | 'dormant' | 'stopping';
  readonly health: Health;
  readonly app: string;
  /** Workers there should be, and of those how many are ready. */
  readonly wanted: number;
  readonly ready: number;
  readonly reload: {
    readonly running: {
      readonly reload: number;
      readonly step: 'preparing' | 'canary' | 'rolling';
      readonly uptime: number;
    } | null;
    readonly last: LastReload | null;
  };
  readonly upgrade: {
    readonly running: { readonly upgrade: number; readonly step: UpgradeStep; readonly pid: number | null } | null;
    readonly last: LastUpgrade | null;
  };
  readonly listeners: readonly ListenerStatus[];
  readonly workers: readonly WorkerStatus[];
}

export interface LastReload {
  readonly reload: number;
  readonly verdict: ReloadOutcome['verdict'];
  readonly generation: number;
  readonly reason: string | null;
  /** Seconds. */
  readonly duration: number;
}

/** `ready`: the new master serves, and this one is about to go, or waits to be told. */
export type UpgradeStep = Exclude<Upgrade['state'], 'none'>;

export interface LastUpgrade {
  readonly upgrade: number;
  readonly verdict: UpgradeOutcome['verdict'];
  /** Of the new master. */
  readonly pid: number | null;
  readonly reason: string | null;
  /** Seconds. */
  readonly duration: number;
}

export interface ListenerStatus {
  /** As `bind` writes it. */
  readonly address: string;
  readonly queues: number;
  readonly backlog: number;
  /** Connections that wait to be accepted, over all queues; `null` where the system does not say. */
  readonly waiting: number | null;
}
