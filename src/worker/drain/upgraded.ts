/**
 * Connections that would stay for ever: WebSockets and others that were upgraded, plain TCP, event streams. They are
 * left alone until shortly before the deadline, and then ended in their own way, so that the client connects anew.
 */
import type { Server, ServerResponse } from 'node:http';
import { currentResponse, hasHttpParser, sentHead } from '../../system/node-internals.ts';
import { bytesWritten, type Connection, endSoon, type Wire } from '../traffic/connection.ts';

/** A WebSocket close frame: 1001, going away. */
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
const lastChunk = '0\r\n\r\n';
const unavailable = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** Whether a connection to a TLS server has not finished its handshake. */
export function isHandshaking({ server, socket, raw }: Connection): boolean {
  return (
    socket === raw && typeof (server as Partial<Server & { setSecureContext: unknown }>).setSecureContext === 'function'
  );
}

/** @param grace milliseconds until the connection is ended from this side */
export function sayGoodbye(connection: Connection, grace: number): void {
  const { session, socket, upgraded } = connection;
  if (session !== null || socket.destroyed || !socket.writable) return;
  if (hasHttpParser(socket)) {
    const response = currentResponse(socket);
    if (response !== null && isEventStream(response)) endStream(response, socket);
    return;
  }
  // If nothing has been written since, the app has not answered the upgrade, and the client does not expect frames yet.
  if (upgraded?.protocol !== 'websocket' || bytesWritten(socket) === upgraded.written) return;
  socket.write(goingAway);
  // The client closes in answer. What the app writes to one that does not must not end the process.
  socket.on('error', () => {});
  setTimeout(() => socket.end(), grace).unref();
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

function isEventStream(response: ServerResponse): boolean {
  return response.headersSent && /^content-type: *text\/event-stream/im.test(sentHead(response));
}

/** An orderly end, as far as the client can see. The app sees its client leave, as it must expect any time. */
function endStream(response: ServerResponse, socket: Wire): void {
  if (response.chunkedEncoding) socket.write(lastChunk);
  endSoon(socket);
}
