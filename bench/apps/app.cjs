'use strict';
// The least an app can do, so that what the supervisor adds is not hidden behind what the app costs.
const http = require('node:http');

const body = JSON.stringify({ pid: process.pid });
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };

const server = http.createServer((req, res) => {
  const [path, value] = req.url.split('?ms=');
  if (path === '/slow') {
    setTimeout(() => res.writeHead(200, headers).end(body), Number.parseInt(value, 10) || 200);
    return;
  }
  if (path === '/spin') {
    const end = performance.now() + (Number.parseInt(value, 10) || 50);
    while (performance.now() < end);
  }
  res.writeHead(200, headers).end(body);
});

server.listen(process.env.PORT || 3000, '127.0.0.1');
