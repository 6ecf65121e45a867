/**
 * A client that keeps its connection, and asks once more on a new one where the server has said goodbye (1001, 1012)
 * before it read the message: RFC 6455 has no other way to leave.
 */
import WebSocket from 'ws';

export function connect(port) {
  let socket = null;
  let number = 0;

  async function opened() {
    if (socket !== null && socket.readyState === WebSocket.OPEN) return socket;
    socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await new Promise((resolve, reject) => socket.once('open', resolve).on('error', reject));
    return socket;
  }

  async function ask(message) {
    const on = await opened();
    return await new Promise((resolve, reject) => {
      const done = (act, value) => {
        on.off('message', heard);
        on.off('close', closed);
        act(value);
      };
      const heard = (data) => done(resolve, data.toString());
      const closed = (code) => {
        if (code === 1001 || code === 1012) done(resolve, null);
        else done(reject, new Error(`closed with ${code}`));
      };
      on.on('message', heard);
      on.on('close', closed);
      on.send(message);
    });
  }

  return {
    async once() {
      const message = String(++number);
      for (let answer = null; answer !== message; answer = await ask(message)) {
        if (answer !== null) throw new Error(`got ${answer} for ${message}`);
      }
    },
    close() {
      socket?.close();
    },
  };
}
