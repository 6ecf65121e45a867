/**
 * Connections that would stay for ever: WebSockets and others that were upgraded, plain TCP. WebSockets are told early to
 * connect anew, one after the other, for whatever started this service may wait much less than it was configured to. The
 * rest has until the deadline.
 */
import type { Server } from 'node:http';
import { currentResponse, hasHttpParser } from '../../system/node-internals.ts';
import { bytesWritten, type Connection, endSoon } from '../traffic/connection.ts';
import { type Plan, webSocketTimes } from './plan.ts';

/** A WebSocket close frame: 1001, going away. */
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
const unavailable = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** Whether a connection to a TLS server has not finished its handshake. */
export function isHandshaking({ server, socket, raw }: Connection): boolean {
  return (
    socket === raw && typeof (server as Partial<Server & { setSecureContext: unknown }>).setSecureContext === 'function'
  );
}

/** A WebSocket in the drain. */
interface Told {
  /** When it is to be told, 0 to 1. */
  readonly luck: number;
  /** When it was told; `null` if it has not been. */
  at: number | null;
}

export class Goodbyes {
  readonly #told = new WeakMap<Connection, Told>();

  /** Tells a WebSocket that it is over, when its time has come; and ends it if its client does not. */
  step(connection: Connection, plan: Plan, now: number): void {
    const { upgraded, socket } = connection;
    if (upgraded?.protocol !== 'websocket' || socket.destroyed || !socket.writable || hasHttpParser(socket)) return;
    const told = this.#of(connection);
    const { from, until, patience } = webSocketTimes(plan);
    if (told.at !== null) {
      if (now >= told.at + patience) endSoon(socket);
      return;
    }
    if (now < from + (until - from) * told.luck || !tell(connection)) return;
    told.at = now;
  }

  #of(connection: Connection): Told {
    const known = this.#told.get(connection);
    if (known !== undefined) return known;
    const told = { luck: Math.random(), at: null };
    this.#told.set(connection, told);
    return told;
  }
}

/** @returns whether the WebSocket is closing */
function tell({ socket, upgraded }: Connection): boolean {
  const frames = upgraded?.frames ?? null;
  if (upgraded === null || frames === null) return false;
  // The app has seen to it itself.
  if (frames.isClosed) return true;
  // The app has not answered the upgrade, or is in the middle of a frame, part of which may wait to be written.
  if (!frames.isBetweenFrames || frames.seen !== bytesWritten(socket) - upgraded.written) return false;
  socket.write(goingAway);
  // The client closes in answer. What the app writes to one that does not must not end the process.
  socket.on('error', () => {});
  return true;
}

/**
 * Ends a connection at the deadline.
 *
 * @returns the requests that were cut
 */
export function cut({ session, socket, raw, streams }: Connection): number {
  if (session !== null) {
    const count = streams?.size ?? 0;
    session.destroy();
    raw.destroy();
    return count;
  }
  const response = currentResponse(socket);
  if (response !== null && !response.headersSent && socket.writable) {
    socket.write(unavailable);
    endSoon(socket);
  } else {
    socket.destroy();
    raw.destroy();
  }
  return response === null ? 0 : 1;
}
