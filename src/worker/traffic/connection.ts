/** What is known of an accepted connection, and of the HTTP/2 streams on it. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';

/** One accepted connection. */
export interface Connection {
  readonly server: Server;
  /** The socket that was accepted. */
  readonly raw: Socket;
  /** The socket that the protocol is spoken on: over TLS the TLS socket, else {@link raw}. */
  socket: Socket;
  session: Http2Session | null;
  /** Open HTTP/2 streams; `null` if the connection is not HTTP/2. */
  streams: Map<ServerHttp2Stream, StreamInFlight> | null;
  /** The protocol it was upgraded to, in lower case, and the bytes that had been written by then. */
  upgraded: { readonly protocol: string; readonly written: number } | null;
  /** The response to the newest request, if several are pipelined or an observer asks for requests. */
  newest: ServerResponse | null;
  /** When the newest request began, of `performance.now()`. */
  requestAt: number;
}

/** An HTTP/2 stream that is not closed. */
export interface StreamInFlight {
  readonly method: string;
  readonly url: string;
  /** When it began, of `performance.now()`. */
  readonly since: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Node's compatibility API for the stream, if the app uses it. */
  request: Http2ServerRequest | null;
}
