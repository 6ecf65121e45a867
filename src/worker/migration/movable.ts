/** Which connections can go to another worker: idle ones of plain HTTP/1, on which nobody but Node has put anything. */
import type { Server } from 'node:http';
import net from 'node:net';
import type { KeptReason } from '../../protocol/migration.ts';
import {
  currentResponse,
  hasHttpParser,
  hasOwnState,
  isQuiet,
  isReceiving,
  timeLeft,
} from '../../system/node-internals.ts';
import type { Connection } from '../traffic/connection.ts';
import { IdleSockets } from '../traffic/idle-sockets.ts';

/** A connection that is closed so soon is not moved: its client has been told so, and knows when. Milliseconds. */
const lastMoments = 250;
/** The same as a share of the time that it may be idle. */
const lastShare = 0.1;

/**
 * @param isBusy the app has a request of it, and may listen on its socket until the response is done
 * @returns why it stays where it is for as long as it lives; `null` if it can move when it is idle
 */
export function boundBy({ raw, server, session, socket, upgraded }: Connection, isBusy: boolean): KeptReason | null {
  if (session !== null) return 'http2';
  if (upgraded !== null) return 'upgraded';
  if (raw !== socket || 'encrypted' in socket) return 'tls';
  if (!(socket instanceof net.Socket) || !hasHttpParser(socket)) return 'other';
  return hasOwnState(server as Server, socket, isBusy) ? 'app' : null;
}

/** A look at all connections of a moment, right after a poll phase. */
export class Look {
  readonly #idle = new IdleSockets();

  /** Whether nothing is under way on a connection that {@link boundBy} leaves free, and nothing is about to be. */
  isIdle({ newest, server, socket }: Connection): boolean {
    if (!(socket instanceof net.Socket) || currentResponse(socket) !== null || isReceiving(socket)) return false;
    if (newest !== null && !newest.writableFinished && !newest.destroyed) return false;
    if (!isQuiet(socket)) return false;
    if (socket.bytesRead > 0 && this.#idle.of(server)?.has(socket) !== true) return false;
    const left = timeLeft(socket);
    return left === null || left >= Math.min(lastMoments, (socket.timeout ?? 0) * lastShare);
  }
}
