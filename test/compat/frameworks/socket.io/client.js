/** A client by WebSocket alone, as docs/compatibility.md asks for, that has every message acknowledged. */
import { io } from 'socket.io-client';

export function connect(port) {
  const socket = io(`http://127.0.0.1:${port}`, {
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelay: 20,
    // A message whose acknowledgement a closed connection has taken along is sent once more.
    retries: 3,
    ackTimeout: 5_000,
  });
  let number = 0;
  return {
    async once() {
      const message = ++number;
      const answer = await socket.emitWithAck('echo', message);
      if (answer !== message) throw new Error(`got ${answer} for ${message}`);
    },
    close() {
      socket.disconnect();
    },
  };
}
