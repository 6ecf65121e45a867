import { initTRPC } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const t = initTRPC.create();
const router = t.router({
  greeting: t.procedure.query(() => 'served'),
  block: t.procedure.query(blockForever),
});
createHTTPServer({ router }).listen(Number(process.env.PORT), '127.0.0.1');
