/** An entry of the timeline, as the control interface shows it. */

/** What an entry is about. */
export type TimelineKind = 'start' | 'stop' | 'reload' | 'scale' | 'recycle' | 'crash' | 'kill' | 'stuck' | 'health';

export interface TimelineEntry {
  /** Counts from 1 in the life of a master; never reused. */
  readonly seq: number;
  /** ISO 8601. */
  readonly time: string;
  readonly kind: TimelineKind;
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly text: string;
  /** The worker it is about; `null` if it is about the service. */
  readonly slot: number | null;
  readonly worker: number | null;
  readonly generation: number | null;
  readonly pid: number | null;
  /** One line per frame, innermost first; empty if there is no stack. */
  readonly stack: readonly string[];
  /** What else is known, one fact a line. Earlier versions do not say it. */
  readonly details?: readonly string[];
}
