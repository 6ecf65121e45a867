/**
 * The close after an answer that ends its connection, if the request's body is still on its way. Were the connection
 * closed at once, the kernel would answer what arrives with a reset, and the client might lose the answer that it has not
 * read yet (RFC 9112, 9.6). So only this side is ended, and the rest of the request is read and thrown away.
 */
import { isReceiving } from '../../system/node-internals.ts';
import { bytesRead, type Wire } from '../traffic/connection.ts';

/** Milliseconds between two looks. */
const lookEvery = 25;
/** Milliseconds for which the rest of a request is read at most, and without a byte of it. */
const most = 30_000;
const silence = 5_000;

const prepared = new WeakSet<Wire>();

/** Has the connection closed in that way, when its last response is written. */
export function lingerAtClose(socket: Wire): void {
  const { destroySoon } = socket;
  if (destroySoon === undefined || prepared.has(socket)) return;
  prepared.add(socket);
  socket.destroySoon = (): void => {
    if (socket.destroyed || !isReceiving(socket)) {
      Reflect.apply(destroySoon, socket, []);
      return;
    }
    socket.end();
    closeWhenRead(socket, () => Reflect.apply(destroySoon, socket, []));
  };
}

function closeWhenRead(socket: Wire, close: () => void): void {
  const endAt = performance.now() + most;
  let bytes = bytesRead(socket);
  let readAt = performance.now();
  const look = (): void => {
    if (socket.destroyed) return;
    const now = performance.now();
    if (bytesRead(socket) !== bytes) {
      bytes = bytesRead(socket);
      readAt = now;
    }
    if (!isReceiving(socket) || now >= Math.min(endAt, readAt + silence)) close();
    else setTimeout(look, lookEvery);
  };
  setTimeout(look, lookEvery);
}
