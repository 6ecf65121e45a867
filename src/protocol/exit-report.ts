/** How a worker ended, as the status has it. */
import type { DeathCause, UnansweredRequest } from '../core/death.ts';

/** An exit that was not as it should be. Times are ISO 8601, ages of requests milliseconds, everything else as its name says. */
export interface ExitReport {
  readonly time: string;
  readonly slot: number | null;
  readonly worker: number;
  readonly generation: number;
  readonly pid: number | null;
  readonly code: number | null;
  readonly signal: string | null;
  readonly cause: DeathCause;
  /** The line of the log. */
  readonly text: string;
  /** What it had not answered, as it was told last; `inFlight` counts all of it. URLs are without their queries. */
  readonly requests: readonly UnansweredRequest[];
  readonly inFlight: number;
  readonly stack: readonly string[];
  readonly details: readonly string[];
}
