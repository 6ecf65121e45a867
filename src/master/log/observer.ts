/** What follows everything that happens in the master: the log, the timeline, the metrics. */
import type { Action } from '../../core/actions.ts';
import type { Event } from '../../core/events.ts';
import type { Fleet } from '../../core/model.ts';
import type { Line } from './line.ts';

/** The circumstances of an event or an action. */
export interface Circumstances {
  /** Before the event; for an action, when it was decided. */
  readonly fleet: Fleet;
  /** Milliseconds of the running clock. */
  readonly now: number;
  /** What the log says of it, the same to all observers; `null` is nothing. */
  readonly line: Line | null;
}

/** Sees everything in the order in which it happens, and changes nothing. */
export interface Observer {
  event?(event: Event, circumstances: Circumstances): void;
  action?(action: Action, circumstances: Circumstances): void;
  /** The master did not run for a while: it was stopped, or its machine slept. */
  suspended?(line: Line): void;
}

/** The log as an observer. @param write puts a line into it */
export function logObserver(write: (line: Line) => void): Observer {
  const observe = (_: unknown, { line }: Circumstances): void => {
    if (line !== null) write(line);
  };
  return { event: observe, action: observe, suspended: write };
}
