/** What is known of an accepted connection, and of the HTTP/2 streams on it. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FrameTracker } from './frames.ts';

/** What bytes come and go on. An app may give its servers any stream; most often it is a socket, which can say more. */
export type Wire = Duplex & Partial<Pick<Socket, 'bytesRead' | 'bytesWritten' | 'destroySoon' | 'remoteAddress'>>;

/** One accepted connection. */
export interface Connection {
  /** The server that has it: the last one that was told of it, if an app's server passes connections to another. */
  server: Server;
  /** What was accepted. */
  readonly raw: Wire;
  /** What the protocol is spoken on: over TLS the TLS socket, else {@link raw}. */
  socket: Wire;
  session: Http2Session | null;
  /** Open HTTP/2 streams; `null` if the connection is not HTTP/2. */
  streams: Map<ServerHttp2Stream, StreamInFlight> | null;
  upgraded: Upgraded | null;
  /** The response to the newest request, if several are pipelined or an observer asks for requests. */
  newest: ServerResponse | null;
  /** When the newest request began, of `performance.now()`. */
  requestAt: number;
  /** Where it is in the list of open connections; -1 if it is not. */
  place: number;
}

/** What became of a connection that has left HTTP/1. */
export interface Upgraded {
  /** In lower case. */
  readonly protocol: string;
  /** Bytes that had been written by then. */
  readonly written: number;
  /** What was answered, by whoever has the connection. */
  readonly head: FrameTracker;
  /** Of a WebSocket: where in what is written its frames end. */
  readonly frames: FrameTracker | null;
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

/** Bytes read from it; 0 if it does not say. */
export function bytesRead(wire: Wire): number {
  return wire.bytesRead ?? 0;
}

/** Bytes written to it, those included that wait in this process; 0 if it does not say. */
export function bytesWritten(wire: Wire): number {
  return wire.bytesWritten ?? 0;
}

/** Closes it when everything is written. */
export function endSoon(wire: Wire): void {
  if (typeof wire.destroySoon === 'function') wire.destroySoon();
  else wire.end(() => wire.destroy());
}
