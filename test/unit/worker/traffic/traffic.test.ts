/** What is counted and told of connections and requests, and what the app can see of it: nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { Traffic } from '../../../../src/worker/traffic/traffic.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { pause, until } from '../../../support/until.ts';

type Pair = [IncomingMessage, ServerResponse];

const cleanups: (() => unknown)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function listening(server: NetServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  cleanups.push(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A tracked server that answers when the test does. */
async function start(): Promise<{ traffic: Traffic; server: Server; port: number; requests: Pair[] }> {
  const traffic = new Traffic({ keepAlive: 0, health: null });
  const requests: Pair[] = [];
  const server = http.createServer((...pair) => requests.push(pair));
  traffic.track(server);
  const port = await listening(server);
  cleanups.push(() => server.closeAllConnections());
  return { traffic, server, port, requests };
}

async function connect(port: number): Promise<RawSocket> {
  const raw = await RawSocket.connected({ port });
  cleanups.push(() => raw.close());
  return raw;
}

describe('the end of a request', () => {
  it('is told to every observer, with the time since its beginning', async () => {
    const { traffic, port, requests } = await start();
    const told: [string | undefined, number, number][] = [];
    for (let count = 0; count < 2; count++) {
      traffic.subscribe({
        onFinished: (request, response, _, milliseconds) => told.push([request.url, response.statusCode, milliseconds]),
      });
    }
    const raw = await connect(port);
    raw.write(head('/one'));
    const [, response] = await until('the request', () => requests[0]);
    await pause(30);
    response.writeHead(201).end();
    await until('both', () => told.length === 2);
    assert.deepEqual(
      told.map(([url, status]) => [url, status]),
      [
        ['/one', 201],
        ['/one', 201],
      ],
    );
    assert.ok(
      told.every(([, , milliseconds]) => milliseconds >= 25),
      String(told),
    );
  });

  it('is told of pipelined requests with the time of each', async () => {
    const { traffic, port, requests } = await start();
    const told: number[] = [];
    traffic.subscribe({ onFinished: (_request, _response, _connection, milliseconds) => told.push(milliseconds) });
    const raw = await connect(port);
    raw.write(head('/one'));
    await until('the first', () => requests.length === 1);
    await pause(60);
    raw.write(head('/two'));
    await until('the second', () => requests.length === 2);
    assert.equal(traffic.inFlight.count(), 1);
    assert.equal(traffic.inFlight.oldest(5)[0]?.url, '/one');
    for (const [, response] of requests) response.end();
    await until('the ends', () => told.length === 2);
    const [first = 0, second = 0] = told;
    assert.ok(first - second >= 30, `${first} ms and ${second} ms`);
  });

  it('is told of those that Node answers itself, which take no time', async () => {
    const { traffic, server, port, requests } = await start();
    const told: [number, number][] = [];
    traffic.subscribe({ onFinished: (_request, { statusCode }, _connection, took) => told.push([statusCode, took]) });
    server.maxRequestsPerSocket = 1;
    await (await connect(port)).write('GET / HTTP/1.1\r\n\r\n').waitFor(/^HTTP\/1\.1 400 /);
    await (await connect(port)).write(head('/', { Expect: 'more' })).waitFor(/^HTTP\/1\.1 417 /);
    const raw = await connect(port);
    raw.write(head('/'));
    (await until('the request', () => requests[0]))[1].end();
    await until('its end', () => told.length === 3);
    raw.write(head('/'));
    await until('the last', () => told.length === 4);
    assert.deepEqual(
      told.filter(([, took]) => took === 0),
      [
        [400, 0],
        [417, 0],
        [503, 0],
      ],
    );
  });

  it('is not told of servers that are not tracked', async () => {
    const { traffic, port, requests } = await start();
    const told: unknown[] = [];
    traffic.subscribe({ onFinished: (request) => told.push(request.url) });
    const other = await listening(http.createServer((_, response) => response.end('other')));
    await (await connect(other)).write(head('/other', { Connection: 'close' })).waitFor(/other$/);
    (await connect(port)).write(head('/own'));
    (await until('the request', () => requests[0]))[1].end();
    await until('the end', () => told.length > 0);
    assert.deepEqual(told, ['/own']);
  });

  it('before its response is complete is an abort; the connection has left the table when its closing is told', async () => {
    const { traffic, port, requests } = await start();
    const told: unknown[] = [];
    traffic.subscribe({
      onAborted: (response) => told.push(response?.req.url),
      onClosed: () => told.push(traffic.connections.open.size),
    });
    const raw = await connect(port);
    raw.write(head('/left'));
    await until('the request', () => requests.length === 1);
    raw.reset();
    await until('the close', () => told.length === 2);
    assert.deepEqual(told, ['/left', 0]);
  });

  it('is told of HTTP/2 streams, with the request of the compatibility API', async () => {
    const traffic = new Traffic({ keepAlive: 0, health: null });
    const finished: unknown[] = [];
    const aborted: unknown[] = [];
    const left: unknown[] = [];
    traffic.subscribe({
      onStreamAborted: (stream, { method, url }) => left.push([method, url, stream.sentHeaders?.[':status']]),
      onStreamFinished: (stream, about) =>
        finished.push([about.method, about.url, about.request?.url, stream.sentHeaders?.[':status']]),
      onAborted: (response) => aborted.push(response),
    });
    const server = http2.createServer((request, response) => {
      if (request.url === '/answered') response.end('x');
      else if (request.method === 'HEAD') return;
      // More than the client's window takes.
      else response.write(Buffer.alloc(1_000_000));
    });
    traffic.track(server);
    const client = http2.connect(`http://127.0.0.1:${await listening(server)}`);
    cleanups.push(() => client.destroy());
    client.request({ ':path': '/answered' }).resume();
    await until('the end', () => finished.length === 1);
    assert.deepEqual(finished, [['GET', '/answered', '/answered', 200]]);
    for (const [method, path] of [
      ['GET', '/left'],
      ['HEAD', '/hang'],
    ] as const) {
      client.request({ ':method': method, ':path': path }).on('error', () => {});
      await until('the stream', () => traffic.inFlight.oldest(5).some(({ url }) => url === path));
    }
    client.destroy();
    await until('the aborts', () => aborted.length === 2);
    assert.deepEqual(aborted, [null, null]);
    assert.deepEqual(
      new Set(left),
      new Set([
        ['GET', '/left', 200],
        ['HEAD', '/hang', undefined],
      ]),
    );
    assert.equal(traffic.inFlight.count(), 0);
    assert.equal(traffic.requests, 3);
  });
});

describe('the table of connections', () => {
  it('counts what was accepted, and the bytes of those that are closed as well', async () => {
    const { traffic, port, requests } = await start();
    const sent = head('/');
    const raw = await connect(port);
    raw.write(sent);
    (await until('the request', () => requests[0]))[1].end('answer');
    await raw.waitFor(/answer$/);
    const open = traffic.connections.bytes();
    assert.deepEqual(open, { received: sent.length, sent: raw.bytes });
    raw.close();
    await until('the close', () => traffic.connections.open.size === 0);
    assert.deepEqual(traffic.connections.bytes(), open);
    await connect(port);
    await until('the next', () => traffic.connections.open.size === 1);
    assert.equal(traffic.connections.accepted, 2);
  });
});

describe('what the app can see', () => {
  it('of a tracked server and its responses is what it would see without', async () => {
    const { traffic, server, port, requests } = await start();
    for (let count = 0; count < 2; count++) {
      traffic.subscribe({ onRequest: () => {}, onFinished: () => {}, onAborted: () => {}, onClosed: () => {} });
    }
    const plain = http.createServer((...pair) => requests.push(pair));
    const plainPort = await listening(plain);
    cleanups.push(() => plain.closeAllConnections());
    for (const each of [port, plainPort]) (await connect(each)).write(head('/'));
    await until('both', () => requests.length === 2);
    assert.deepEqual(Object.keys(server), Object.keys(plain));
    assert.deepEqual(server.eventNames(), plain.eventNames());
    const seen = requests.map(([request, response]) =>
      [request, response].map((each) => each.eventNames().map((name) => [name, each.listenerCount(name)])),
    );
    assert.deepEqual(seen[0], seen[1]);
  });
});

describe('keepAlive', () => {
  const cases: readonly [string, number, number, number][] = [
    ['replaces the default of Node', 75_000, 5_000, 75_000],
    ['leaves what the app has chosen', 75_000, 1_234, 1_234],
    ['of 0 leaves the default of Node', 0, 5_000, 5_000],
  ];
  for (const [what, keepAlive, before, expected] of cases) {
    it(what, () => {
      const server = http.createServer();
      server.keepAliveTimeout = before;
      new Traffic({ keepAlive, health: null }).track(server);
      assert.equal(server.keepAliveTimeout, expected);
    });
  }
});
