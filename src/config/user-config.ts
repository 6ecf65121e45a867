/** The configuration as it is written in `supervisor.config.ts`. */
import type { IncomingMessage } from 'node:http';

/** Seconds, or a text such as `'500ms'`, `'30s'`, `'5m'`, `'2h'`. */
export type Time = number | string;

/** Bytes, or a text such as `'512MB'`; 1 MB is 1024 x 1024 bytes. */
export type Size = number | string;

/** What the `onWorkerAbort` hook is told. */
export interface WorkerAbort {
  readonly slot: number;
  readonly worker: number;
  readonly generation: number;
  readonly pid: number;
  /** Milliseconds without a heartbeat. */
  readonly blockedMs: number;
  /** Frames of the JavaScript stack, innermost first; empty where it could not be had. */
  readonly stack: readonly string[];
  readonly requests: readonly { readonly method: string; readonly url: string; readonly age: number }[];
}

/** See docs/settings.md for defaults. */
export interface UserConfig {
  /** The app's file, or `file:exportName`. */
  app?: string;
  name?: string;
  /** `host:port`, `:port`, a port, `[::1]:port`, `unix:/path`, `fd://N`, `fd://name` of a socket that was passed; or several. */
  bind?: string | number | readonly (string | number)[];
  backlog?: number;
  queues?: 'auto' | 'shared' | 'per-worker';
  /** Permissions of unix sockets: `'660'` or `0o660`. */
  socketMode?: string | number;
  pidfile?: string;
  chdir?: string;
  env?: Readonly<Record<string, string | number | boolean>>;
  /** The app's `process.argv.slice(2)`. */
  args?: readonly string[];
  /** Options of the workers' node binary. */
  nodeArgs?: readonly string[];
  typescript?: 'auto' | 'native' | 'tsx';
  workers?: number | 'auto';
  maxWorkers?: number;
  bootTimeout?: Time;
  /** 0 is never. */
  maxBootFailures?: number;
  gracefulTimeout?: Time;
  drainLinger?: Time;
  /** Extra workers while replacing: a number, or a share such as `'25%'`. */
  maxSurge?: number | string;
  minReadySeconds?: Time;
  progressDeadline?: Time;
  /** 0 is never. */
  rollbackWindow?: Time;
  /** A shell command that is run once per reload, before any new worker. */
  release?: string;
  releaseTimeout?: Time;
  /** 0 is off. */
  maxRequests?: number;
  maxRequestsJitter?: number;
  /** 0 is off. */
  maxMemory?: Size;
  /** 0 is off. */
  maxLifetime?: Time;
  maxLifetimeJitter?: Time;
  /** 0 is off. */
  timeout?: Time;
  /** 0 is off. */
  blockedWarning?: Time;
  /**
   * Called with the stack of a worker that is killed because it is stuck. It runs in a process of its own, which ends
   * when it is done, or after 10 s.
   */
  onWorkerAbort?: (abort: WorkerAbort) => void | Promise<void>;
  /** A path, or `'none'`. */
  controlSocket?: string;
  /** `host:port`, a port, or `unix:/path`. */
  admin?: string | number;
  /** Names besides IP addresses and `localhost`: `['shop', 'shop.internal']`. */
  adminHosts?: readonly string[];
  health?: boolean;
  healthLive?: string;
  healthReady?: string;
  readyQuorum?: number;
  drainDelay?: Time;
  rejectWhileDraining?: boolean;
  /** 0 leaves Node's. */
  keepAlive?: Time;
  metrics?: boolean;
  /** Names the route of a request; it runs in the workers. What it gives for nothing is no label. */
  routeLabel?: (request: IncomingMessage) => string | null | undefined;
  /** `host:port`. */
  statsd?: string;
  statsdPrefix?: string;
  statsdTags?: Readonly<Record<string, string | number | boolean>>;
  /** `'-'` or a file. */
  accessLog?: string;
  /** Gunicorn's atoms, or `'json'`. */
  accessLogFormat?: string;
  /** `'-'` or a file. */
  errorLog?: string;
  captureOutput?: boolean;
  user?: string;
  group?: string;
  /** `'022'` or `0o022`. */
  umask?: string | number;
  /** `user`, `user:group` or `:group`. */
  socketOwner?: string;
  daemon?: boolean;
  envFile?: string;
  upgradeTimeout?: Time;
  upgradeByHand?: boolean;
  logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  logFormat?: 'auto' | 'pretty' | 'json';
}
