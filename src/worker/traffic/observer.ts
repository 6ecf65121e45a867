/** What the traffic tells, and to which observers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Connection, StreamInFlight } from './connection.ts';

/**
 * Takes part in the traffic: each method is called for the event of its name. An observer has the methods it needs;
 * an event that no observer has a method for costs one comparison.
 */
export interface Observer {
  /** A connection was accepted. */
  onConnection?(connection: Connection): void;
  /** A request begins, of HTTP/1 or of Node's compatibility API for HTTP/2. The app has not seen it yet. */
  onBegin?(request: IncomingMessage, response: ServerResponse): void;
  /** An HTTP/2 stream begins. The app has not seen its headers yet. */
  onHeaders?(headers: Record<string, unknown>): void;
  /** An HTTP/1 request is to be answered on this connection, by the app or as a health check. Nothing is written yet. */
  onRequest?(connection: Connection, response: ServerResponse): void;
  /** The kernel has the last byte of an HTTP/1 response. Health checks are left out. */
  onFinished?(request: IncomingMessage, response: ServerResponse, connection: Connection, milliseconds: number): void;
  /** The same of an HTTP/2 stream. */
  onStreamFinished?(
    stream: ServerHttp2Stream,
    about: StreamInFlight,
    connection: Connection,
    milliseconds: number,
  ): void;
  /** An HTTP/2 stream begins that the app is about to see. */
  onStreamBegun?(stream: ServerHttp2Stream, about: StreamInFlight, connection: Connection): void;
  /** An HTTP/2 stream of {@link onStreamBegun} is closed, however it has ended. */
  onStreamClosed?(stream: ServerHttp2Stream, about: StreamInFlight, connection: Connection): void;
  /** The client left before the response was complete. `response` is `null` for HTTP/2. */
  onAborted?(response: ServerResponse | null, connection: Connection, milliseconds: number): void;
  /** The same of an HTTP/2 stream, of which {@link onAborted} was told as well. */
  onStreamAborted?(
    stream: ServerHttp2Stream,
    about: StreamInFlight,
    connection: Connection,
    milliseconds: number,
  ): void;
  /** A request for another protocol was turned away with this status, and so many bytes of a body. */
  onUpgradeRefused?(request: IncomingMessage, connection: Connection, status: number, bytes: number): void;
  /** The connection is upgraded to another protocol. */
  onUpgrade?(request: IncomingMessage, connection: Connection): void;
  /** A connection was closed; it is no longer in the table. */
  onClosed?(connection: Connection): void;
}

type Tell<Event extends keyof Observer> = Required<Observer>[Event] | null;
type AnyTell = (a: unknown, b: unknown, c: unknown, d: unknown) => void;

/** For each event the one function that tells all observers of it, in their order; `null` if there is none to tell. */
export class Observers {
  readonly onConnection: Tell<'onConnection'> = null;
  readonly onBegin: Tell<'onBegin'> = null;
  readonly onHeaders: Tell<'onHeaders'> = null;
  readonly onRequest: Tell<'onRequest'> = null;
  readonly onFinished: Tell<'onFinished'> = null;
  readonly onStreamFinished: Tell<'onStreamFinished'> = null;
  readonly onStreamBegun: Tell<'onStreamBegun'> = null;
  readonly onStreamClosed: Tell<'onStreamClosed'> = null;
  readonly onAborted: Tell<'onAborted'> = null;
  readonly onStreamAborted: Tell<'onStreamAborted'> = null;
  readonly onUpgradeRefused: Tell<'onUpgradeRefused'> = null;
  readonly onUpgrade: Tell<'onUpgrade'> = null;
  readonly onClosed: Tell<'onClosed'> = null;

  add(observer: Observer): void {
    const told = this as unknown as Record<keyof Observer, AnyTell | null>;
    const methods = observer as Partial<Record<keyof Observer, AnyTell>>;
    for (const event of Object.keys(told) as (keyof Observer)[]) {
      const method = methods[event]?.bind(observer);
      if (method !== undefined) told[event] = joined(told[event], method);
    }
  }
}

/** Parameters by name, and no rest parameter: that would be an array for each request. */
function joined(first: AnyTell | null, next: AnyTell): AnyTell {
  if (first === null) return next;
  return (a, b, c, d) => {
    first(a, b, c, d);
    next(a, b, c, d);
  };
}
