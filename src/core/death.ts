/** What is known of the end of a worker. The core carries it for the log, and decides nothing by it. */

/**
 * Why a process ended. `asked`: it left as it was told, or prefork killed it; `error`: an error that nothing caught, or a
 * promise that was rejected; `exit`: the app told it to; `ended`: nothing was left to do; `heap`: V8 found no room;
 * `oom`: the kernel's OOM killer; `killed`: SIGKILL from elsewhere; `abort`: the app aborted it; `native`: it crashed outside of
 * JavaScript; `signal`: any other signal; `unknown`: nothing is known but its status.
 */
// biome-ignore format: a list
export const deathCauses = [
  'asked', 'error', 'exit', 'ended', 'heap', 'oom', 'killed', 'abort', 'native', 'signal', 'unknown',
] as const;

export type DeathCause = (typeof deathCauses)[number];

/** A request that the worker had not answered when it ended. */
export interface UnansweredRequest {
  readonly method: string;
  /** As the client sent it, its query included. */
  readonly url: string;
  /** Milliseconds from its beginning to the end of the worker. */
  readonly age: number;
  readonly id?: string | null;
  /** The trace id of its `traceparent`. */
  readonly trace?: string | null;
  /** As the app's router calls it, if that is known. */
  readonly route?: string | null;
}

/** Everything is plain text, of bounded length. */
export interface Death {
  readonly cause: DeathCause;
  /** In words; `null` if there is nothing to say but what the exit status says. */
  readonly why: string | null;
  /** The oldest ones, oldest first, as they were told last. */
  readonly requests: readonly UnansweredRequest[];
  /** How many there were in all. */
  readonly inFlight: number;
  /** Where it was: one line per frame, innermost first. */
  readonly stack: readonly string[];
  /** What else is known, one fact a line. */
  readonly details: readonly string[];
}
