/** What the `on` hook and the `webhook` are told of: what happens to the service. */

interface EventBase {
  /** Unique: the same event has the same id each time it is sent. */
  readonly id: string;
  /** When it happened, in UTC, as in ISO 8601. */
  readonly time: string;
  /** The name of the service. */
  readonly service: string;
  /** The pid of the master that tells it. */
  readonly master: number;
}

/** The worker that an event is about. */
interface OfWorker {
  /** Its place in the pool, from 0; `null` for a spare. */
  readonly slot: number | null;
  /** Its number, unique in the life of the master. */
  readonly worker: number;
  readonly pid: number | null;
  readonly generation: number;
}

/** Why a worker has left, or was killed: `crash` is by itself while it served, `boot` before it was ready. */
export type ExitReason =
  | 'crash'
  | 'boot'
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
  | 'shutdown'
  | 'stuck'
  | 'drain-timeout'
  | 'reload-rejected'
  | 'misbehaved';

/** All workers of the start serve; `upgrade`: of a new master that replaces another. */
export interface ReadyEvent extends EventBase {
  readonly type: 'ready';
  readonly workers: number;
  readonly generation: number;
  readonly upgrade: boolean;
}

/** A worker's process is gone. */
export interface WorkerExitEvent extends EventBase, OfWorker {
  readonly type: 'workerExit';
  /** Its exit code; `null` if a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Whether it was told to leave, or killed by the master. */
  readonly asked: boolean;
  readonly reason: ExitReason;
  /** In words, as the log has it: the error, out of heap, a signal; `null` if there is nothing to say but its status. */
  readonly why: string | null;
  /** Requests that it had not answered. */
  readonly unanswered: number;
  /** Milliseconds from its start to its end. */
  readonly lifeMs: number;
}

/** A worker is killed because its event loop is blocked. `onWorkerAbort` gets its stack as well. */
export interface StuckEvent extends EventBase, OfWorker {
  readonly type: 'stuck';
  /** Milliseconds without a heartbeat. */
  readonly blockedMs: number;
}

interface OfReload extends EventBase {
  /** The number of the reload. */
  readonly reload: number;
  /** The generation that serves after it. */
  readonly generation: number;
  readonly durationMs: number;
}

/** A reload is done: every worker is of the new generation. */
export interface ReloadedEvent extends OfReload {
  readonly type: 'reloaded';
}

/** A reload has failed. Nothing was changed; or, if `halted`, it stopped half way, at full strength. */
export interface RejectedEvent extends OfReload {
  readonly type: 'rejected';
  readonly reason: string;
  readonly halted: boolean;
}

/** The release before serves again. */
export interface RolledBackEvent extends OfReload {
  readonly type: 'rolledBack';
  readonly reason: string;
}

/** There are to be more workers, or fewer. */
export interface ScaledEvent extends EventBase {
  readonly type: 'scaled';
  readonly from: number;
  readonly to: number;
  /** Why, if the pool follows its load; `null` if somebody asked for it, or configured it. */
  readonly reason: string | null;
  readonly generation: number;
}

/** The service has ended. */
export interface StoppedEvent extends EventBase {
  readonly type: 'stopped';
  /** The exit status of the master. */
  readonly status: number;
  /** Why it gave up; `null` if it was told to stop. */
  readonly reason: string | null;
  readonly generation: number;
}

/** Something that happened to the service; its `type` says what, and what else there is. */
export type ServiceEvent =
  | ReadyEvent
  | WorkerExitEvent
  | StuckEvent
  | ReloadedEvent
  | RejectedEvent
  | RolledBackEvent
  | ScaledEvent
  | StoppedEvent;
