import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Http1Drain } from '../../../../src/worker/drain/http1.ts';
import { Traffic } from '../../../../src/worker/traffic/traffic.ts';
import { head, RawSocket } from '../../../support/raw.ts';

type Respond = (res: ServerResponse) => unknown;

/** Every way to write a head, and what must stay of it. */
const ways: readonly [string, Respond, RegExp][] = [
  ['nothing', (res) => res.end('x'), /Content-Length: 1/],
  ['setHeader', (res) => res.setHeader('Connection', 'keep-alive').end('x'), /Content-Length: 1/],
  ['setHeader, in lower case', (res) => res.setHeader('connection', 'Keep-Alive').end('x'), /Content-Length: 1/],
  [
    'removeHeader',
    (res) => {
      res.removeHeader('connection');
      res.end('x');
    },
    /Content-Length: 1/,
  ],
  ['its own close', (res) => res.setHeader('Connection', 'close').end('x'), /Content-Length: 1/],
  ['writeHead(status)', (res) => res.writeHead(201).end('x'), /^HTTP\/1\.1 201 Created/],
  ['writeHead(status, reason)', (res) => res.writeHead(201, 'Fine').end('x'), /^HTTP\/1\.1 201 Fine/],
  [
    'writeHead(status, object)',
    (res) => res.writeHead(200, { connection: 'keep-alive', 'X-A': '1' }).end('x'),
    /X-A: 1/,
  ],
  [
    'writeHead(status, reason, object)',
    (res) => res.writeHead(200, 'Fine', { 'X-A': ['1', '2'] }).end('x'),
    /200 Fine[\s\S]*X-A: 1\r\nX-A: 2/,
  ],
  [
    'writeHead(status, undefined, object)',
    (res) => res.writeHead(200, undefined, { 'X-A': '1' }).end('x'),
    /200 OK[\s\S]*X-A: 1/,
  ],
  [
    'writeHead(status, list)',
    (res) => res.writeHead(200, ['X-A', '1', 'Connection', 'keep-alive', 'X-B', '2']).end('x'),
    /X-A: 1[\s\S]*X-B: 2/,
  ],
  [
    'writeHead(status, pairs)',
    (res) =>
      res
        .writeHead(200, [
          ['X-A', '1'],
          ['Connection', 'keep-alive'],
        ] as never)
        .end('x'),
    /X-A: 1/,
  ],
  [
    'setHeader and writeHead(object)',
    (res) => res.setHeader('Connection', 'keep-alive').writeHead(200, { 'X-A': '1' }).end('x'),
    /X-A: 1/,
  ],
  [
    'setHeader and writeHead(list)',
    (res) => res.setHeader('X-B', '2').writeHead(200, ['X-A', '1', 'Connection', 'keep-alive']).end('x'),
    /X-B: 2[\s\S]*X-A: 1/,
  ],
  [
    'Keep-Alive',
    (res) => res.setHeader('Keep-Alive', 'timeout=60').setHeader('Connection', 'keep-alive').end('x'),
    /Content-Length: 1/,
  ],
  [
    'flushHeaders',
    (res) => {
      res.flushHeaders();
      res.end('x');
    },
    /Transfer-Encoding: chunked/,
  ],
  ['304', (res) => res.writeHead(304, { ETag: '"1"' }).end(), /^HTTP\/1\.1 304 [\s\S]*ETag: "1"/],
  [
    'writeContinue first',
    (res) => {
      res.writeContinue();
      res.end('x');
    },
    /^HTTP\/1\.1 100 Continue/,
  ],
  [
    'writeEarlyHints first',
    (res) => {
      res.writeEarlyHints({ link: '</a>; rel=preload' });
      res.end('x');
    },
    /^HTTP\/1\.1 103 Early Hints/,
  ],
  [
    'pipe',
    (res) => {
      res.write('a');
      res.end('b');
    },
    /Transfer-Encoding: chunked/,
  ],
];

describe('during a drain every response ends its connection', () => {
  const drain = new Http1Drain();
  const traffic = new Traffic({ keepAlive: 0, health: null });
  const server = http.createServer((req, res) => ways[Number(req.url?.slice(1))]?.[1](res));
  let port = 0;

  before(async () => {
    traffic.track(server);
    traffic.subscribe({ onRequest: (connection, response) => drain.makeLast(connection, response) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  for (const [index, [name, , expected]] of ways.entries()) {
    it(name, async () => {
      const raw = await RawSocket.connected({ port });
      raw.write(head(`/${index}`));
      assert.equal(await raw.waitEnd(2_000), 'fin');
      assert.match(raw.text, expected);
      assert.equal(raw.text.match(/^connection: close\r$/gim)?.length, 1, raw.text);
      assert.doesNotMatch(raw.text, /keep-alive/i);
    });
  }

  it('also to a client of HTTP/1.0 that would stay', async () => {
    const raw = await RawSocket.connected({ port });
    raw.write('GET /0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    assert.equal(await raw.waitEnd(2_000), 'fin');
    assert.match(raw.text, /Connection: close/);
  });

  it('and every request was counted', () => {
    assert.equal(traffic.requests, ways.length + 1);
    assert.equal(traffic.inFlight.count(), 0);
  });
});
