import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const server = createServer((request, response) => {
  if (request.url === '/block') blockForever();
  response.end('served');
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message.toString())));
server.listen(Number(process.env.PORT), '127.0.0.1');
