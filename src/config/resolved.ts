/** The configuration after all sources are merged, checked and put into one unit: what the rest of prefork reads. */

import type { Identity, Owner } from '../system/identity.ts';
import type { PassedSocket } from '../system/passed.ts';
import type { Address } from './address.ts';
import type { CountRange } from './settings/kinds.ts';
import type { For, Plain, SettingsTable } from './settings.ts';

export interface AppSpec {
  /** As it was given, for messages. */
  readonly given: string;
  /** Absolute, with every symlink resolved: what a generation is pinned to. */
  readonly path: string;
  /** Absolute, as it was given: symlinks in it may lead elsewhere by now. */
  readonly named: string;
  readonly exportName: string | null;
}

/** `runtime` is a name of its own, with the master's pid, in the user's runtime directory. */
export type ControlSocket =
  | { readonly kind: 'none' }
  | { readonly kind: 'runtime' }
  | { readonly kind: 'path'; readonly path: string; readonly isDefault: boolean };

export interface HealthPaths {
  readonly live: string;
  readonly ready: string;
}

/** What depends on other settings, on the machine or on what a service manager passed: `resolve.ts` finds it. */
interface Derived {
  readonly app: AppSpec;
  readonly name: string;
  /** Empty if none is configured: the app's own `listen()` addresses are then used. */
  readonly bind: readonly Address[];
  /** Where an exported handler is served when `bind` is empty. */
  readonly defaultBind: Address;
  /** At the start. */
  readonly workers: number;
  /** Between these the number of workers follows the load; `null` is a fixed number. */
  readonly autoscale: CountRange | null;
  readonly maxWorkers: number;
  /** Cores that may be used: the machine's, or the container's. */
  readonly cores: number;
  /** The working directory of workers, symlinks resolved. */
  readonly chdir: string;
  /** The environment of workers, `PORT` included; {@link slotEnv} comes on top. */
  readonly env: Readonly<Record<string, string>>;
  /** What depends on a worker's slot: `{slot}` stands for it. */
  readonly slotEnv: Readonly<Record<string, string>>;
  readonly drainLinger: number;
  readonly replaceLinger: number;
  /** Resolved to a whole number of workers, at least 1. */
  readonly maxSurge: number;
  readonly maxMemory: number;
  readonly controlSocket: ControlSocket;
  /** Where the page, the metrics and the health checks are served by the master. */
  readonly admin: Address | null;
  /** Paths answered on the app's own port, ahead of the app; `null` is none. */
  readonly health: HealthPaths | null;
  /** What the workers, the release command and the hooks run as; `null` is the user that runs the master. */
  readonly identity: Identity | null;
  /** File mode mask of the workers. */
  readonly umask: number;
  readonly socketOwner: Owner | null;
  /** The config file in use, absolute, or `null`. */
  readonly configFile: string | null;
  /** Names of the hooks the config file defines. */
  readonly hooks: readonly string[];
  /** What was given and may be meant otherwise, a line each. */
  readonly doubts: readonly string[];
}

/**
 * The settings of one generation, which never change. Times are milliseconds, sizes bytes, paths of files absolute. Most
 * are what the table of settings makes of them.
 */
export interface Settings extends Omit<Plain<SettingsTable>, keyof Derived>, Derived {}

/** The settings that each worker gets with its birth. */
export type WorkerSettings = For<'worker', Settings>;

/** What a load starts from; kept by the master, so that every reload starts from the same. */
export interface LoadRequest {
  /** Settings given on the command line, by name, as strings or string arrays, and the app as `app`. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The same from the environment variable PREFORK_CMD_ARGS. */
  readonly cmdArgs: Readonly<Record<string, unknown>>;
  /** `-c`; `null` looks for `supervisor.config.{ts,mts,js,mjs,cjs}` in the working directory. */
  readonly configFile: string | null;
  /** The environment as the master was started with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Sockets that a service manager passed. */
  readonly passed?: readonly PassedSocket[];
  /** The caller's file mode mask; the master has one of its own. */
  readonly umask?: number;
  /** The working directory as the shell names it (symlinks kept), so that a moved `current` link is seen. */
  readonly cwd: string;
}
