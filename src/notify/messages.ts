/** The messages between the master and a process that tells others of events: lines of JSON over a pipe. */
import type { ServiceEvent } from '../config/service-event.ts';

/** The process's end of the pipe. */
export const notifyDescriptor = 3;

/** What the process is for; comes first. */
export type NotifyTask =
  /** Calls the `on` hook of this config file. */
  { readonly type: 'hook'; readonly path: string } | { readonly type: 'webhook'; readonly url: string };

export interface NotifyOrder {
  /** The process that waits for answers: `process.ppid` could already be the one that inherited the child. */
  readonly parent: number;
  readonly task: NotifyTask;
}

/** Comes one at a time: the next follows the answer. */
export interface NotifyEvent {
  readonly event: ServiceEvent;
}

/** `failure` is one line; `null` if all went well. */
export interface NotifyAnswer {
  readonly id: string;
  readonly failure: string | null;
}
