import { H3, serve } from 'h3';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const app = new H3();
app.get('/', () => 'served');
app.get('/block', blockForever);
serve(app, { port: Number(process.env.PORT), hostname: '127.0.0.1', silent: true });
