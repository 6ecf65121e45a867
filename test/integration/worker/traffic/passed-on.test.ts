/** Connections that reach a server in another way than by its own `listen()`: they are served, counted and drained. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type Socket } from 'node:net';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { head } from '../../../support/raw.ts';
import { stretched } from '../../../support/slowness.ts';
import { until } from '../../../support/until.ts';
import { cleanup, gone, start, type WorkerUnderTest } from '../../../support/worker-harness.ts';

const app = 'worker/passed-on.cjs';
const uncut = [{ type: 'drained', cutRequests: 0, cutConnections: 0 }];

interface Client {
  readonly socket: Socket;
  text(): string;
  /** Sends a request and waits for the end of its answer. */
  ask(path: string): Promise<string>;
}

async function connect(port: number, isSecure: boolean): Promise<Client> {
  const socket = isSecure
    ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : net.connect(port, '127.0.0.1');
  cleanup(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(socket, isSecure ? 'secureConnect' : 'connect');
  const ask = async (path: string): Promise<string> => {
    text = '';
    socket.write(head(path));
    return await until(`the answer to ${path}`, () => (text.endsWith(`served ${path}`) ? text : undefined));
  };
  return { socket, text: () => text, ask };
}

function figures(worker: WorkerUnderTest): { connections: number; requests: number } {
  const { connections = 0, requests = 0 } = worker.all('beat').at(-1)?.figures ?? {};
  return { connections, requests };
}

async function counted(worker: WorkerUnderTest, connections: number, requests: number): Promise<void> {
  await until(`${connections} connections and ${requests} requests`, () => {
    const now = figures(worker);
    return now.connections === connections && now.requests === requests;
  });
}

const kinds: readonly (readonly [front: string, isSecure: boolean, connections: number])[] = [
  ['first byte', false, 1],
  ['first byte', true, 1],
  ['tls server', true, 1],
  ['tls socket', true, 1],
  // The stream of the app's own is one more.
  ['duplex', false, 2],
];

describe('HTTP/1 behind another server is served, counted, told to close, and lets the worker go', () => {
  for (const [front, isSecure, connections] of kinds) {
    test(`${front}${isSecure ? ', TLS' : ''}`, async () => {
      const worker = await start({ app, env: { FRONT: front }, gracefulTimeout: 20_000 });
      const idle = await connect(worker.port(), isSecure);
      const busy = await connect(worker.port(), isSecure);
      for (const each of [idle, busy]) assert.match(await each.ask('/one'), /connection: keep-alive/i);
      await counted(worker, 2 * connections, 2);
      const slow = busy.ask('/slow?ms=300');
      await until('the request in flight', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
      worker.drain({ linger: 1_000 });
      assert.match(await slow, /connection: close/i);
      assert.match(await idle.ask('/last'), /connection: close/i);
      const startedAt = performance.now();
      assert.deepEqual(await worker.waitExit(stretched(6_000)), gone);
      assert.ok(performance.now() - startedAt < stretched(6_000));
      assert.deepEqual(worker.all('drained'), uncut);
      assert.equal(worker.output, '');
    });
  }

  test("a stream of the app's own over an upgraded connection", async () => {
    const worker = await start({ app, env: { FRONT: 'upgraded duplex' }, gracefulTimeout: 20_000 });
    const client = await connect(worker.port(), false);
    client.socket.write(head('/', { Connection: 'Upgrade', Upgrade: 'tunnel' }));
    await until('the tunnel', () => client.text().includes('101 Switching'));
    await client.ask('/inner');
    await counted(worker, 2, 2);
    worker.drain({ linger: 1_000 });
    assert.match(await client.ask('/last'), /connection: close/i);
    assert.deepEqual(await worker.waitExit(stretched(6_000)), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('a connection that waits for its first byte goes with the idle ones, once it is known what becomes of such', async () => {
    const worker = await start({ app, env: { FRONT: 'first byte' }, gracefulTimeout: 20_000 });
    await (await connect(worker.port(), false)).ask('/one');
    const silent = await connect(worker.port(), false);
    const late = await connect(worker.port(), false);
    await counted(worker, 3, 1);
    worker.drain({ linger: 1_000 });
    assert.match(await late.ask('/late'), /connection: close/i);
    await once(silent.socket, 'close');
    assert.deepEqual(await worker.waitExit(stretched(6_000)), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });
});

test('HTTP/2 behind another server gets its GOAWAY', async () => {
  const worker = await start({ app, env: { FRONT: 'http2' }, gracefulTimeout: 20_000 });
  const client = http2.connect(`http://127.0.0.1:${worker.port()}`);
  cleanup(() => client.destroy());
  const stream = client.request({ ':path': '/one' });
  await once(stream.resume(), 'end');
  await counted(worker, 1, 1);
  const goaway = once(client, 'goaway');
  worker.drain({ linger: 300 });
  assert.equal((await goaway)[0], 0);
  assert.deepEqual(await worker.waitExit(stretched(6_000)), gone);
  assert.deepEqual(worker.all('drained'), uncut);
});

test('a socket whose listeners the app has removed is not counted any more when it has closed, and holds up no drain', async () => {
  const worker = await start({ app, env: { FRONT: 'cleared listeners' }, gracefulTimeout: 20_000 });
  const clients = await Promise.all([1, 2, 3].map(() => connect(worker.port(), false)));
  for (const { socket, text } of clients) {
    socket.write(head('/', { Connection: 'Upgrade', Upgrade: 'x' }));
    await until('the upgrade', () => text().includes('101 Switching'));
  }
  await counted(worker, 3, 3);
  for (const { socket } of clients.slice(1)) socket.end();
  await counted(worker, 1, 3);
  clients[0]?.socket.end();
  await counted(worker, 0, 3);
  worker.drain({ linger: 200 });
  assert.deepEqual(await worker.waitExit(stretched(4_000)), gone);
  assert.deepEqual(worker.all('drained'), uncut);
});
