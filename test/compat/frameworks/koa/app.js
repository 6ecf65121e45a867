import Koa from 'koa';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const app = new Koa();
app.use((context) => {
  if (context.path === '/block') blockForever();
  context.body = 'served';
});
app.listen(Number(process.env.PORT), '127.0.0.1');
