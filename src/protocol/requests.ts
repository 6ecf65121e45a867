/** A request in flight, and where a worker is: as a worker tells of it, and as operators are shown it. */
import type { Phase } from '../core/model.ts';

/**
 * Where a request is: its body still arrives; the app has it, and has not begun to answer; the app sends the answer; the
 * answer waits for the client to read it.
 */
export const requestPhases = ['body', 'app', 'sending', 'client'] as const;

export type RequestPhase = (typeof requestPhases)[number];

/** The phases in words. */
export const phaseText: Readonly<Record<RequestPhase, string>> = {
  body: 'reading the body',
  app: 'in the app',
  sending: 'sending the response',
  client: 'waiting for the client',
};

/** Characters of a method, a URL and a route. */
export const maxMethod = 20;
export const maxUrl = 500;
export const maxRoute = 200;

/** What is behind the question mark may be a secret. */
export function withoutQuery(url: string): string {
  return url.replace(/[?#].*/s, '');
}

/** Requests that a worker tells of at a time. */
export const mostRequests = 100;

/** A request in flight, as `GET /requests` shows it. */
export interface ShownRequest {
  readonly slot: number | null;
  /** Id of its worker. */
  readonly worker: number;
  readonly pid: number;
  readonly method: string;
  readonly url: string;
  readonly route: string | null;
  /** Seconds. */
  readonly age: number;
  readonly phase: RequestPhase | null;
}

/** The answer to `GET /requests`. */
export interface ShownRequests {
  /** In flight in all; those of workers that are silent as far as they are known. */
  readonly inFlight: number;
  /** Workers that do not answer: their event loops are blocked. What is shown of them is what was known last. */
  readonly silent: readonly { readonly slot: number | null; readonly worker: number; readonly pid: number }[];
  /** The oldest first. */
  readonly requests: readonly ShownRequest[];
}

/** Where a worker is, as `GET /stack` shows it. */
export interface ShownStack {
  readonly slot: number | null;
  readonly worker: number;
  readonly pid: number;
  readonly generation: number;
  readonly phase: Phase['name'];
  /** `running`: JavaScript ran; `waiting`: the event loop turned; `unknown`: see `problem`. */
  readonly state: 'running' | 'waiting' | 'unknown';
  /** Seconds since its last heartbeat, of which there are two a second. */
  readonly heartbeatAge: number;
  /** One line per frame, innermost first. */
  readonly stack: readonly string[];
  /** What it waits for, in Node's words. */
  readonly waitsFor: readonly string[];
  readonly problem: string | null;
  readonly requests: readonly ShownRequest[];
}
