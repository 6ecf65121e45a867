import { createServer } from 'node:http';
import { Server } from 'socket.io';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const server = createServer((request, response) => {
  if (request.url === '/block') blockForever();
  response.end('served');
});
const io = new Server(server);
io.on('connection', (socket) => socket.on('echo', (message, answer) => answer(message)));
server.listen(Number(process.env.PORT), '127.0.0.1');
