import Hapi from '@hapi/hapi';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const server = Hapi.server({ port: Number(process.env.PORT), host: '127.0.0.1' });
server.route({ method: 'GET', path: '/', handler: () => 'served' });
server.route({ method: 'GET', path: '/block', handler: blockForever });
await server.start();
