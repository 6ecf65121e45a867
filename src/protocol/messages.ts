/**
 * The messages between master and worker. A worker speaks over a pipe of its own, a line of JSON a message; a message
 * speaks only about its sender, and the master takes pids from the kernel. The master speaks over the IPC channel that
 * node:cluster opens, which it never reads (docs/decisions/0020); there its messages have a {@link mark}.
 */
import type { Address } from '../config/address.ts';
import type { WorkerHookName } from '../config/hooks.ts';
import type { WorkerSettings } from '../config/resolved.ts';
import type { TrustProxy } from '../config/trust-proxy.ts';
import type { FailureKind } from '../core/model.ts';
import type { DatagramQuery, ListenQuery } from '../system/node-internals.ts';
import type { WorkerFigures } from './figures.ts';
import type { MigrationDelta, QueueDescriptors } from './migration.ts';
import type { ReportedRequest } from './request.ts';
import type { Health } from './status.ts';
import type { AppMetric, TrafficDelta } from './traffic.ts';

/** The key under which the master's messages are. */
export const mark = 'prefork';

/** The worker's descriptor of the pipe over which it speaks. */
export const speechDescriptor = 4;

/** Bytes of a worker's message, but for those of {@link longTypes}: room for the longest error report. */
export const maxLine = 256 * 1024;

/** Bytes of a message of {@link longTypes}. */
export const maxLongLine = 2 * 1024 * 1024 + maxLine;

/** What a worker counts may be long. */
export const longTypes: readonly WorkerMessage['type'][] = ['traffic', 'app-metrics'];

/** The environment variable that carries {@link BootInfo} as JSON. The worker deletes it before the app can see it. */
export const bootVariable = 'PREFORK_WORKER';

/** The name of the worker's functions whose presence in a stack means that prefork's own code ran, not the app's. */
export const ownWork = 'prefork.ownWork';

export interface AccessLogInfo {
  /** A path, or an open descriptor. */
  readonly target: string | number;
  /** Gunicorn's atoms, or `json`. */
  readonly format: string;
  /** Of `json`; `null` is the usual ones. */
  readonly fields: readonly string[] | null;
  /** Patterns of paths that have no line; `null` is none. */
  readonly skip: readonly string[] | null;
  /** Proxies that are believed about the client's address. */
  readonly trustProxy: TrustProxy;
}

/** What a worker gets with its birth. */
export interface BootInfo {
  readonly id: number;
  /** `null` for a spare, which is told its slot when it is placed. */
  readonly slot: number | null;
  readonly generation: number;
  /** The settings that the table marks for workers. */
  readonly settings: WorkerSettings;
  /** Where an exported handler is served when `bind` is empty. */
  readonly defaultBind: Address;
  /** Milliseconds. */
  readonly heartbeat: number;
  readonly accessLog: AccessLogInfo | null;
  /**
   * What is counted; `null` is nothing. `app` is whether the app's own metrics are wanted, `latencies` whether durations are
   * reported for percentiles, and `trial` for how many milliseconds a canary reports more often; `null` is not at all.
   */
  readonly metrics: { readonly app: boolean; readonly latencies: boolean; readonly trial: number | null } | null;
  /** It accepts nobody from the sockets that it is granted, until it is admitted; it listens at private addresses instead. */
  readonly held?: boolean;
  /** The queue between workers; `null` if there is none. */
  readonly queue: QueueDescriptors | null;
  /** Where this worker finds and keeps compiled code; `null` if prefork has seen to no such place. */
  readonly compileCache: CompileCacheInfo | null;
  /** The hooks that run in workers, each with the config file that has it. */
  readonly hooks: Readonly<Partial<Record<WorkerHookName, string>>>;
}

/** See docs/decisions/0022-light-worker.md. */
export interface CompileCacheInfo {
  readonly folder: string;
  /** Whether this worker keeps what it has compiled for the others as soon as it is ready. */
  readonly keeps: boolean;
}

/** The state of the whole service, from the master. */
export interface HealthReport {
  readonly status: Health;
  /** Workers that can serve, and that there should be. */
  readonly ready: number;
  readonly wanted: number;
  /** Of the release in force. */
  readonly version: string | null;
}

/** The outcome of one of the app's health checks. */
export interface CheckReport {
  readonly name: string;
  readonly ok: boolean;
  readonly critical: boolean;
  readonly error: string | null;
}

/** An error that crosses the channel. */
export interface ErrorReport {
  readonly name: string;
  readonly message: string;
  /** As Node would have printed it. */
  readonly stack: string;
  /** The app's own code that threw, in its sources: `checkout (src/cart.ts:41:7)`. */
  readonly frame?: string | null;
  /** A promise was rejected, and nothing handled it. */
  readonly isRejection?: boolean;
  /** What its message does not say: its causes, and the errors that it stands for. */
  readonly because?: string | null;
}

/**
 * The worker is about to end by itself. `exit`: the app called `process.exit()`, and `caller` is where; `abort`:
 * `process.abort()`; `end`: neither, so nothing was left to do, or an error ended it. `after`: an error that the app's own
 * handler had caught before.
 */
export interface DyingMessage {
  readonly type: 'dying';
  readonly how: 'exit' | 'abort' | 'end';
  readonly caller: string | null;
  readonly after: (Pick<ErrorReport, 'name' | 'message' | 'because'> & { readonly frame: string | null }) | null;
  readonly requests: readonly ReportedRequest[];
  readonly inFlight: number;
}

/** What became of the heap snapshot that a worker wrote on its way out: a name in the folder, or why there is none. */
export interface SnapshotMessage {
  readonly type: 'snapshot';
  readonly file: string | null;
  /** Size of the file. */
  readonly bytes: number;
  /** Milliseconds that it took. */
  readonly took: number;
  readonly problem: string | null;
}

/**
 * Where a worker was when it was sent SIGUSR1: `frames` as an Error's stack has them, none if its event loop turned, and
 * then `resources` that it waited for (process.getActiveResourcesInfo); `isOwn` if prefork's own code ran.
 */
export interface StackMessage {
  readonly type: 'stack';
  readonly frames: readonly string[];
  readonly isOwn: boolean;
  readonly requests: readonly ReportedRequest[];
  readonly resources: readonly string[];
}

/** A request that takes long, or has taken long. */
export interface SlowRequest {
  readonly method: string;
  readonly url: string;
  /** The pattern of its route, `null` if it is not known (yet). */
  readonly route: string | null;
  /** Its `x-request-id`. */
  readonly id: string | null;
  /** The trace id of its `traceparent`. */
  readonly trace: string | null;
  /** Milliseconds since it began, or that it took. */
  readonly age: number;
  readonly state: SlowState;
  /** Of the answer; `null` if there is none (yet). */
  readonly status: number | null;
}

/** `left`: its client did not wait. `timed-out`: prefork has answered in the app's place. */
export type SlowState = 'running' | 'answered' | 'left' | 'timed-out';

export const slowStates: readonly SlowState[] = ['running', 'answered', 'left', 'timed-out'];

/** What can be found out inside of a worker. */
export type Inspection =
  | { readonly what: 'profile'; readonly milliseconds: number }
  | { readonly what: 'trace'; readonly milliseconds: number }
  | { readonly what: 'heap' };

/** A loopback address of a worker that is held, which no client knows. */
export interface PrivateAddress {
  /** The key of the listener that it stands for. */
  readonly listener: string;
  readonly host: '127.0.0.1' | '::1';
  readonly port: number;
  /** Whether the server there speaks TLS. */
  readonly secure: boolean;
}

export type WorkerMessage =
  /**
   * Wants the handles for a `listen()`. `bound` is true for the listen that is served on `bind`; `ordinal` tells
   * apart several listens on port 0, in the order in which the worker made them.
   */
  | {
      readonly type: 'listen';
      readonly seq: number;
      readonly bound: boolean;
      readonly query: ListenQuery;
      readonly ordinal: number;
    }
  /** A server closed: the worker accepts no more on this listener. */
  | { readonly type: 'unlisten'; readonly listener: string }
  /** Wants the handle for a `bind()` of a UDP socket; `ordinal` tells apart several of the same address. */
  | { readonly type: 'bind'; readonly seq: number; readonly query: DatagramQuery; readonly ordinal: number }
  /** A UDP socket closed, which was granted as the answer to this `bind`, or would have been. */
  | { readonly type: 'unbind'; readonly seq: number }
  /** The app sends messages to its parent process, where nobody reads them; sent once. */
  | { readonly type: 'unheard' }
  /** A spare has booted, and waits for its sockets; no other worker sends it. */
  | { readonly type: 'booted' }
  /** `addresses`: where it can be asked as long as it is held, the one of the service's own address first. */
  | { readonly type: 'ready'; readonly addresses?: readonly PrivateAddress[] }
  /** The app has work that only one worker of the service does (`onLeader`); sent once. */
  | { readonly type: 'candidate' }
  /** It leads no more; `reason`: its work failed. */
  | { readonly type: 'resigned'; readonly reason: string | null }
  | {
      readonly type: 'beat';
      readonly figures: WorkerFigures;
      /** The oldest requests that have taken a while already; left out if there are none. */
      readonly requests?: readonly ReportedRequest[];
      /** Bytes that V8's heap may have; told once, when it is worth knowing. */
      readonly heapLimit?: number;
    }
  /** What was added to its counters; sent with heartbeats, when it has drained, and when it exits. */
  | { readonly type: 'traffic'; readonly delta: TrafficDelta }
  /** All that the app's own metrics registry holds. */
  | { readonly type: 'app-metrics'; readonly metrics: readonly AppMetric[] }
  | { readonly type: 'failed'; readonly kind: FailureKind; readonly error: ErrorReport }
  /** The app's health checks; sent when an outcome changes. */
  | { readonly type: 'health'; readonly checks: readonly CheckReport[] }
  /** Its access log cannot be written: lines wait, and these were lost. */
  | { readonly type: 'log-trouble'; readonly lines: number; readonly reason: string }
  /** It runs out of file descriptors. */
  | { readonly type: 'short'; readonly connections: number }
  /** A Socket.IO client that polls came with a session of another worker, or of one that is gone. */
  | { readonly type: 'session-missed' }
  /** The worker itself got a TERM. */
  | { readonly type: 'termed' }
  /** Why the drain is not over yet; sent now and then while it lasts. */
  | {
      readonly type: 'draining';
      readonly requests: readonly ReportedRequest[];
      readonly inFlight: number;
      readonly connections: number;
      readonly upgraded: number;
    }
  | StackMessage
  /** Requests that are slow, or were; and how many `more` there were in so many milliseconds (`within`). */
  | {
      readonly type: 'slow';
      readonly requests: readonly SlowRequest[];
      readonly more: number;
      readonly within: number;
    }
  /** Answers an `ask-requests`: the oldest that are in flight, and how many there are in all. */
  | {
      readonly type: 'requests';
      readonly seq: number;
      readonly total: number;
      readonly requests: readonly ReportedRequest[];
    }
  /** Connections went to other workers, came from them, or could not go. */
  | { readonly type: 'migrated'; readonly delta: MigrationDelta }
  /** The app listens to SIGUSR1 itself: the worker cannot be asked for its stack. */
  | { readonly type: 'mute' }
  /** The drain ended; `cut` counts the requests and connections that did not end by themselves. */
  | {
      readonly type: 'drained';
      readonly cutRequests: number;
      readonly cutConnections: number;
      /** The oldest of those that were cut. */
      readonly requests?: readonly ReportedRequest[];
    }
  | DyingMessage
  | SnapshotMessage;

export type MasterMessage =
  /** To a spare: its slot, and what depends on it in the app's environment. What it has asked for comes next. */
  | { readonly type: 'place'; readonly slot: number; readonly env: Readonly<Record<string, string>> }
  /**
   * Do what only one worker of the service may do, until the order to drain comes. A listening socket travels beside the
   * message, on which nobody accepts: whoever has a copy leads, or names who leads.
   */
  | { readonly type: 'lead' }
  /** Grants one of the `count` handles that answer a `listen`; the handle travels beside the message. */
  | {
      readonly type: 'grant';
      readonly seq: number;
      readonly listener: string;
      readonly queue: number;
      readonly count: number;
      readonly backlog: number;
    }
  /** The address cannot be bound; `errno` is libuv's negative number. */
  | { readonly type: 'refused'; readonly seq: number; readonly errno: number }
  /** Grants the UDP socket that answers a `bind`; the handle travels beside the message. Or there is none. */
  | { readonly type: 'bound'; readonly seq: number }
  | { readonly type: 'unbindable'; readonly seq: number; readonly errno: number }
  /** Answers an `unlisten`: unless others use the listener, its address is free, or about to be. */
  | { readonly type: 'unlistened'; readonly listener: string }
  /** Accept from a further queue of a listener (the handle travels beside the message), or stop to. */
  | { readonly type: 'assign'; readonly listener: string; readonly queue: number; readonly backlog: number }
  | { readonly type: 'unassign'; readonly listener: string; readonly queue: number }
  /** To a worker that is held: from now on it accepts from the sockets that it was granted. */
  | { readonly type: 'admit' }
  /** Whether other workers accept connections too, or will; sent to those that accept, when it changes. At first: no. */
  | { readonly type: 'peers'; readonly othersAccept: boolean }
  /**
   * Give idle connections to other workers while there are more than `keep`, and take what others give while there are
   * fewer than `take`; `null` is without a limit. Only those of these `listeners` can go; `null` is all. `atWork`: those that
   * have just been answered go before idle ones. `heirs`: another master's workers are there for all connections, should
   * this one's master die.
   */
  | {
      readonly type: 'migrate';
      readonly keep: number | null;
      readonly take: number | null;
      readonly listeners: readonly string[] | null;
      readonly atWork: boolean;
      readonly heirs: boolean;
    }
  /** The state of the service; sent when it changes, if the worker answers health checks. */
  | { readonly type: 'service'; readonly report: HealthReport }
  /**
   * Leave within this many milliseconds; a second one may shorten the first. `awaited`: somebody waits for it. `reject` answers new requests with 503.
   * `last` goes on accepting until it is `alone`: nobody is left to serve what waits in the queues. The same
   * of the `dropped` listeners only, by their keys: others go on serving the rest.
   */
  | {
      readonly type: 'drain';
      readonly within: number;
      readonly linger: number;
      readonly quick: boolean;
      readonly awaited: boolean;
      readonly reject: boolean;
      readonly last: boolean;
      readonly dropped: readonly string[];
      /** Write a heap snapshot once there are no clients any more. */
      readonly snapshot?: boolean;
    }
  /** Say which requests are in flight, the oldest first, at most so many. */
  | { readonly type: 'ask-requests'; readonly seq: number; readonly most: number }
  /**
   * Look into this process, and send what is found over the tube: the unix socket at `path`, which wants the `secret` first.
   * `milliseconds` is how long a profile or a trace is to be.
   */
  | ({ readonly type: 'inspect'; readonly path: string; readonly secret: string } & Inspection)
  /** No other process holds the listening sockets any more: with this worker's they are closed. */
  | { readonly type: 'alone' }
  | { readonly type: 'reopen' };

/** Wraps a message for the channel. */
export function wrap<T extends MasterMessage>(message: T): { [mark]: T } {
  return { [mark]: message };
}

/** Takes one of prefork's messages out of its wrapping, or gives `null` if it is not one of them. */
export function unwrap(raw: unknown): { readonly type: unknown } | null {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, mark)) return null;
  const message: unknown = (raw as Record<string, unknown>)[mark];
  return typeof message === 'object' && message !== null && Object.hasOwn(message, 'type')
    ? (message as { type: unknown })
    : null;
}
