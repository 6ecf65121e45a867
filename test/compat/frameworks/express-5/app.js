import express from 'express';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const app = express();
app.get('/', (_request, response) => response.send('served'));
app.get('/block', blockForever);
app.listen(Number(process.env.PORT), '127.0.0.1');
