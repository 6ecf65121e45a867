/**
 * The ends of requests. Node itself says on a channel that an HTTP/1 response is finished: a listener of ours on each
 * response would be visible to the app, and every request would pay for it.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { currentResponse } from '../../system/node-internals.ts';
import type { Connection, StreamInFlight } from './connection.ts';
import type { Connections } from './connections.ts';
import type { InFlight } from './in-flight.ts';
import type { Interception } from './intercept.ts';
import type { Observers } from './observer.ts';
import { isUnseen } from './unseen.ts';

interface Finished {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface FinishesParts {
  readonly connections: Connections;
  readonly inFlight: InFlight;
  readonly interception: Interception;
  readonly observers: Observers;
}

export class Finishes {
  readonly #parts: FinishesParts;
  #isWatching = false;

  constructor(parts: FinishesParts) {
    this.#parts = parts;
  }

  /** Begins to listen on Node's channel if an observer wants it: without one it costs nothing. */
  watch(): void {
    if (this.#isWatching || this.#parts.observers.onFinished === null) return;
    this.#isWatching = true;
    // "Emitted when server sends a response": https://nodejs.org/api/diagnostics_channel.html#http
    subscribe('http.server.response.finish', (message) => {
      const { request, response } = message as Finished;
      this.#finished(request, response);
    });
  }

  #finished(request: IncomingMessage, response: ServerResponse): void {
    const { connections, inFlight, interception, observers } = this.#parts;
    const connection = connections.of(request.socket);
    // Responses of servers that are not tracked, and responses that the app has not seen.
    if (connection === null || interception.isOwn(response)) return;
    const milliseconds = isUnseen(request, response.statusCode, connection.server)
      ? 0
      : performance.now() - inFlight.startOf(response, connection);
    observers.onFinished?.(request, response, connection, milliseconds);
  }

  streamClosed(stream: ServerHttp2Stream, about: StreamInFlight, connection: Connection): void {
    const { observers } = this.#parts;
    const milliseconds = performance.now() - about.since;
    // Of HEAD Node ends it at its beginning.
    if (stream.writableFinished && stream.headersSent) {
      observers.onStreamFinished?.(stream, about, connection, milliseconds);
      return;
    }
    observers.onAborted?.(null, connection, milliseconds);
    observers.onStreamAborted?.(stream, about, connection, milliseconds);
  }

  connectionClosed(connection: Connection): void {
    const response = currentResponse(connection.socket);
    if (response === null || response.writableFinished) return;
    const { inFlight, observers } = this.#parts;
    observers.onAborted?.(response, connection, performance.now() - inFlight.startOf(response, connection));
  }
}
