import { serve } from 'srvx';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

serve({
  port: Number(process.env.PORT),
  hostname: '127.0.0.1',
  silent: true,
  fetch(request) {
    if (new URL(request.url).pathname === '/block') blockForever();
    return new Response('served');
  },
});
