/** What `npm start` runs: the demo, under prefork. */
import { defineConfig } from 'prefork';

export default defineConfig({
  name: 'pastes',
  app: './demo/server.ts',
  bind: '127.0.0.1:8000',
  pidfile: './demo/prefork.pid',
});
