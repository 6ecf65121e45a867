/**
 * Tells of each request that ends. By the channel on which Node itself says so: no listener of ours is on a response,
 * where the app could see it and every request would pay for it.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2';
import { performance } from 'node:perf_hooks';
import type { Connection, StreamInFlight, Traffic } from './traffic.ts';

/** Hears of requests that have ended. */
export interface Watcher {
  /** The last byte of the response was handed to the kernel. */
  onFinished(request: IncomingMessage, response: ServerResponse, connection: Connection, milliseconds: number): void;
  /** The same of an HTTP/2 stream; `request` is there where the app uses Node's compatibility API. */
  onStreamFinished(
    stream: ServerHttp2Stream,
    about: StreamInFlight,
    request: Http2ServerRequest | null,
    connection: Connection,
    milliseconds: number,
  ): void;
  /** The connection was gone before the response was complete; of HTTP/2 there is no response to tell of. */
  onAborted(response: ServerResponse | null, connection: Connection, milliseconds: number): void;
  /** The connection becomes something else. */
  onUpgrade?(request: IncomingMessage, connection: Connection): void;
}

interface Finished {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket?: unknown;
}

/** Begins to tell the watchers. There is no way back, and no cost where it was never called. */
export function watchFinishes(traffic: Traffic, watchers: readonly Watcher[]): void {
  // Documented as "emitted when server sends a response": https://nodejs.org/api/diagnostics_channel.html#http
  subscribe('http.server.response.finish', (message) => {
    const { request, response } = message as Finished;
    const connection = traffic.connectionOf(request.socket);
    // Servers that are none of ours, and answers that the app has never seen.
    if (connection === null || traffic.isOwnAnswer(response)) return;
    const milliseconds = performance.now() - traffic.startOf(response, connection);
    for (const watcher of watchers) watcher.onFinished(request, response, connection, milliseconds);
  });
  traffic.ended = {
    onStream: (stream, about, connection) => {
      if (!stream.headersSent) return;
      const milliseconds = performance.now() - about.since;
      for (const watcher of watchers) watcher.onStreamFinished(stream, about, about.request, connection, milliseconds);
    },
    onAborted: (response, connection) => {
      const since = response === null ? connection.requestAt : traffic.startOf(response, connection);
      const milliseconds = performance.now() - since;
      for (const watcher of watchers) watcher.onAborted(response, connection, milliseconds);
    },
    onUpgrade: (request, connection) => {
      for (const watcher of watchers) watcher.onUpgrade?.(request, connection);
    },
  };
}
