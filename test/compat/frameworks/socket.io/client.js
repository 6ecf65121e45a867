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
  let refuse = () => {};
  socket.on('connect_error', (error) => refuse(error.description?.error ?? error));
  // What waits for a connection waits for ever: it is lost when there is nobody to connect to.
  const refusal = () => new Promise((_, reject) => (refuse = reject));
  return {
    async once() {
      const message = ++number;
      const answer = await Promise.race([socket.emitWithAck('echo', message), refusal()]);
      refuse = () => {};
      if (answer !== message) throw new Error(`got ${answer} for ${message}`);
    },
    close() {
      socket.disconnect();
    },
  };
}
