import { serve } from '@hono/node-server';
import { Hono } from 'hono';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const app = new Hono();
app.get('/', (context) => context.text('served'));
app.get('/block', blockForever);
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: '127.0.0.1' });
