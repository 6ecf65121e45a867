import Fastify from 'fastify';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const app = Fastify();
app.get('/', async () => 'served');
app.get('/block', blockForever);
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
