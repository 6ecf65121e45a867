/** A line of the log, before it is written. */
import type { Action, ActionOf } from '../../core/actions.ts';
import type { Event, EventOf } from '../../core/events.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, Worker } from '../../core/model.ts';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  /** For people; durations are in seconds. */
  readonly message: string;
  /** For machines; durations are in milliseconds. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What the timeline has besides: one fact a line, and the frames of a stack. */
  readonly details?: readonly string[];
  readonly stack?: readonly string[];
}

/**
 * What the log says of each type of event: given what was known before it, and the running clock's milliseconds. `null`
 * instead of a function is a type that the log never mentions.
 */
export type EventLines<T extends Event['type']> = {
  readonly [K in T]: ((event: EventOf<K>, before: Fleet, now: number) => Line | null) | null;
};

/** The same for actions: given what was known when it was decided. */
export type ActionLines<T extends Action['type']> = {
  readonly [K in T]: ((action: ActionOf<K>, fleet: Fleet) => Line | null) | null;
};

export function line(level: Line['level'], message: string, fields: Line['fields'] = {}): Line {
  return { level, message, fields };
}

/** A line about worker `id`, which says which one that is. */
export function workerLine(
  level: Line['level'],
  message: string,
  fleet: Fleet,
  id: number,
  fields: Line['fields'] = {},
): Line {
  return line(level, message, { ...workerFields(findWorker(fleet, id)), worker: id, ...fields });
}

/** What every line about a worker carries. */
export function workerFields(worker: Worker | undefined): Line['fields'] {
  if (worker === undefined) return {};
  const { slot, id, generation, pid } = worker;
  return { ...(slot === null ? { spare: true } : { slot }), worker: id, generation, pid };
}

/** `0.52 s`. */
export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(2)} s`;
}
