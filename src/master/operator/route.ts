/** A route of the operator's HTTP server: what it is given, and what it answers. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { EventSink } from './event-sink.ts';

/** What a route is given. */
export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** The parsed JSON of a POST; `{}` if there was none. */
  readonly body: Readonly<Record<string, unknown>>;
  /** What is behind the question mark. */
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Has a function called if the client leaves before it has its answer. */
  readonly onGone: (then: () => void) => void;
}

export interface Reply {
  readonly status: number;
  /** Sent as JSON, unless `type` says what text it is. */
  readonly body: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Server-sent events, for as long as the client stays. */
export interface Streaming {
  /** Is given the stream once it is open. Must not wait for anything. */
  readonly stream: (sink: EventSink) => void;
}

/** Bytes of somewhere else, which are passed on as fast as the client takes them. */
export interface Transfer {
  /** Is destroyed if the client leaves; if it fails, so does the answer. */
  readonly transfer: Readable;
  /** Bytes that it gives. */
  readonly size: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Answer = Reply | Streaming | Transfer;

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

/** A refusal, as the client sees it. */
export function refuse(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message } } };
}

/** The answer to a request that succeeded. */
export function ok(body: unknown): Reply {
  return { status: 200, body };
}
