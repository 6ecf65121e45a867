/** The configuration after all sources are merged, checked and put into one unit: what the rest of prefork reads. */

import type { Identity, Owner } from '../system/identity.ts';
import type { PassedSocket } from '../system/passed.ts';
import type { Address } from './address.ts';

export interface AppSpec {
  /** As it was given, for messages. */
  readonly given: string;
  /** Absolute, with every symlink resolved: what a generation is pinned to. */
  readonly path: string;
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

/** Times are milliseconds, sizes bytes. One of these belongs to each generation and never changes. */
export interface Settings {
  readonly app: AppSpec;
  readonly name: string;
  /** Empty where none is configured: the app's own `listen()` addresses are then used. */
  readonly bind: readonly Address[];
  /** Where an exported handler is served when `bind` is empty. */
  readonly defaultBind: Address;
  readonly backlog: number;
  readonly queues: 'auto' | 'shared' | 'per-worker';
  readonly socketMode: number;
  readonly workers: number;
  readonly maxWorkers: number;
  /** Cores that may be used: the machine's, or the container's. */
  readonly cores: number;
  /** The working directory of workers, symlinks resolved. */
  readonly chdir: string;
  /** The complete environment of workers, `PORT` included. */
  readonly env: Readonly<Record<string, string>>;
  /** `process.argv.slice(2)` of the app. */
  readonly args: readonly string[];
  /** Options for the node binary of workers. */
  readonly nodeArgs: readonly string[];
  readonly typescript: 'auto' | 'native' | 'tsx';
  readonly pidfile: string | null;
  readonly timeout: number;
  readonly gracefulTimeout: number;
  readonly drainLinger: number;
  readonly bootTimeout: number;
  readonly minReadySeconds: number;
  readonly progressDeadline: number;
  readonly rollbackWindow: number;
  /** Resolved to a whole number of workers, at least 1. */
  readonly maxSurge: number;
  readonly maxRequests: number;
  readonly maxRequestsJitter: number;
  readonly maxMemory: number;
  readonly maxLifetime: number;
  readonly maxLifetimeJitter: number;
  readonly maxBootFailures: number;
  readonly blockedWarning: number;
  readonly release: string | null;
  readonly releaseTimeout: number;
  readonly controlSocket: ControlSocket;
  /** Where the page, the metrics and the health checks are served by the master. */
  readonly admin: Address | null;
  /** Lower case. */
  readonly adminHosts: readonly string[];
  /** Paths answered on the app's own port, ahead of the app; `null` is none. */
  readonly health: HealthPaths | null;
  readonly readyQuorum: number;
  readonly drainDelay: number;
  readonly rejectWhileDraining: boolean;
  /** 0 leaves what Node and the app have. */
  readonly keepAlive: number;
  readonly metrics: boolean;
  readonly statsd: { readonly host: string; readonly port: number } | null;
  readonly statsdPrefix: string;
  readonly statsdTags: Readonly<Record<string, string>>;
  /** `-` or an absolute path. */
  readonly accessLog: string | null;
  /** Gunicorn's atoms, or `json`. */
  readonly accessLogFormat: string;
  /** An absolute path; `null` is stderr. */
  readonly errorLog: string | null;
  readonly captureOutput: boolean;
  readonly user: string | null;
  readonly group: string | null;
  /** Who the workers, the release command and the hooks run as; `null` is whoever runs the master. */
  readonly identity: Identity | null;
  /** File mode mask of the workers. */
  readonly umask: number;
  readonly socketOwner: Owner | null;
  readonly daemon: boolean;
  /** Already in `env`; kept for what shows the configuration. */
  readonly envFile: string | null;
  /** Milliseconds. */
  readonly upgradeTimeout: number;
  readonly upgradeByHand: boolean;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly logFormat: 'auto' | 'pretty' | 'json';
  /** The config file in use, absolute, or `null`. */
  readonly configFile: string | null;
  /** Names of the hooks the config file defines. */
  readonly hooks: readonly string[];
}

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
