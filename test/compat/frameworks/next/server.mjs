/** The custom server of Next's documentation. */
import { createServer } from 'node:http';
import next from 'next';

const port = Number(process.env.PORT);
const app = next({ dev: false, hostname: '127.0.0.1', port });
const handle = app.getRequestHandler();
await app.prepare();
createServer((request, response) => handle(request, response)).listen(port, '127.0.0.1');
