import { createServer } from 'node:http';
import { createApp, createRouter, eventHandler, toNodeListener } from 'h3';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const router = createRouter();
router.get(
  '/',
  eventHandler(() => 'served'),
);
router.get('/block', eventHandler(blockForever));
createServer(toNodeListener(createApp().use(router))).listen(Number(process.env.PORT), '127.0.0.1');
