/** What a drain tells those whose connections cannot move, and that they lose nothing by it. */
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, test } from 'node:test';
import { head, RawSocket } from '../../../support/raw.ts';
import { stretched } from '../../../support/slowness.ts';
import { pause, stays, until } from '../../../support/until.ts';
import { cleanup, gone, start, type WorkerUnderTest } from '../../../support/worker-harness.ts';

const uncut = [{ type: 'drained', cutRequests: 0, cutConnections: 0 }];

/** A line on which everything takes a while, in both directions. @returns the port at which clients find it */
async function slowLine(port: number, delay: number): Promise<number> {
  const carry = (from: net.Socket, to: net.Socket): void => {
    from.on('data', (chunk) => setTimeout(() => to.write(chunk), delay));
    from.on('end', () => setTimeout(() => to.end(), delay));
    from.on('error', () => setTimeout(() => to.destroy(), delay));
  };
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const service = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    carry(client, service);
    carry(service, client);
    cleanup(() => {
      client.destroy();
      service.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

interface Client {
  readonly session: http2.ClientHttp2Session;
  /** What it was told and when, in the order in which it was. */
  readonly heard: string[];
  readonly get: (path: string) => Promise<string>;
}

async function connect(port: number, scheme = 'https'): Promise<Client> {
  const session = http2.connect(`${scheme}://localhost:${port}`, { rejectUnauthorized: false });
  cleanup(() => session.destroy());
  const heard: string[] = [];
  session.on('goaway', (_code, lastStream) => heard.push(`goaway ${lastStream}`));
  session.on('error', () => {});
  await until('the session', () => !session.connecting);
  const get = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':path': path });
      let body = '';
      stream.setEncoding('utf8');
      stream.on('response', () => heard.push(`answer ${stream.id}`));
      stream.on('data', (text: string) => {
        body += text;
      });
      stream.on('end', () => resolve(body));
      stream.on('error', reject);
    });
  return { session, heard, get };
}

async function startHttp2(secure = true): Promise<WorkerUnderTest> {
  return await start({ app: 'worker/http2.mjs', env: { API: 'stream', SECURE: secure ? '1' : '' } });
}

describe('CONN-06: HTTP/2, of which a client is told once it waits for an answer', () => {
  test('over TLS a session is told ahead of the answer to its next stream, and not before', async () => {
    const worker = await startHttp2();
    const { session, heard, get } = await connect(worker.port());
    assert.equal(await get('/'), 'stream /');
    worker.drain({ linger: 100_000, within: 120_000, awaited: false });
    await stays('untold', () => heard.length === 1 && !session.closed, 1_500);
    // Together, as by a browser that loads a page.
    assert.deepEqual(await Promise.all([get('/a'), get('/b'), get('/c')]), ['stream /a', 'stream /b', 'stream /c']);
    // The end of the session says it once more.
    assert.deepEqual(heard.slice(0, 5), ['answer 1', 'goaway 7', 'answer 3', 'answer 5', 'answer 7']);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('in clear text it is told in the same way, in the first of two steps', async () => {
    const worker = await startHttp2(false);
    const { session, heard, get } = await connect(worker.port(), 'http');
    assert.equal(await get('/'), 'stream /');
    worker.drain({ linger: 100_000, within: 120_000, awaited: false });
    await stays('untold', () => heard.length === 1 && !session.closed, 1_500);
    assert.deepEqual(await Promise.all([get('/a'), get('/b')]), ['stream /a', 'stream /b']);
    const first = heard.filter((what) => what !== 'goaway 5');
    assert.deepEqual(first, ['answer 1', `goaway ${2 ** 31 - 1}`, 'answer 3', 'answer 5']);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('over TLS it is told in the same way while the service still accepts', async () => {
    const worker = await startHttp2();
    const { session, heard, get } = await connect(worker.port());
    assert.equal(await get('/'), 'stream /');
    worker.send({ type: 'service', report: { status: 'draining' } as never });
    await stays('untold', () => heard.length === 1 && !session.closed, 300);
    assert.equal(await get('/a'), 'stream /a');
    assert.deepEqual(heard.slice(0, 3), ['answer 1', 'goaway 3', 'answer 3']);
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
  });

  test('over a slow line, clients that never pause lose no stream', async () => {
    const worker = await startHttp2();
    const port = await slowLine(worker.port(), 60);
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(port)));
    let sent = 0;
    let answered = 0;
    const failures: unknown[] = [];
    const loops = clients.flatMap(({ session, get }) =>
      Array.from({ length: 4 }, async () => {
        while (!session.closed) {
          sent += 1;
          await get('/').then(
            () => {
              answered += 1;
            },
            (error: unknown) => failures.push(error),
          );
        }
      }),
    );
    await until('answers', () => answered > 64);
    worker.drain({ linger: 10_000, within: 20_000, awaited: false });
    await Promise.all(loops);
    assert.deepEqual(failures, []);
    assert.equal(answered, sent);
    assert.deepEqual(await worker.waitExit(stretched(15_000)), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });
});

describe('CONN-10: an answer that comes ahead of its upload', () => {
  for (const announced of [false, true]) {
    test(`reaches its client, ${announced ? 'in the time before the drain' : 'in the drain'}`, async () => {
      const worker = await start({ app: 'worker/http.cjs' });
      const clients = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const raw = await RawSocket.connected({ port: worker.port() });
          cleanup(() => raw.close());
          await raw.write(head('/')).waitFor(/hello$/);
          return raw;
        }),
      );
      if (announced) worker.send({ type: 'service', report: { status: 'draining' } as never });
      else worker.drain({ linger: 15_000, within: 20_000 });
      await pause(100);
      // So much that a part of it waits in the kernel when the answer is written, and a part with the client.
      const body = Buffer.alloc(16 * 1_048_576, 'x');
      for (const raw of clients) {
        raw.write(head('/', { 'Content-Length': String(body.length) }, 'POST')).write(body);
        assert.equal(await raw.waitEnd(), 'fin');
        assert.match(raw.text, /Connection: close[\s\S]*hello$/);
        assert.equal(raw.responses, 2);
      }
      if (announced) worker.drain();
      assert.deepEqual(await worker.waitExit(), gone);
    });
  }
});

describe('CONN-11: event streams are over before a container is killed', () => {
  /** Waits for the end. @returns after how many milliseconds */
  const endOf = async (raw: RawSocket, since: number): Promise<number> => {
    assert.equal(await raw.waitEnd(stretched(20_000)), 'fin');
    return performance.now() - since;
  };
  const listen = async (worker: WorkerUnderTest, path: string): Promise<RawSocket> => {
    const raw = await RawSocket.connected({ port: worker.port() });
    cleanup(() => raw.close());
    await raw.write(head(path)).waitFor(/data: hello/);
    return raw;
  };

  test('one that waits for something to happen ends within 7 s, one that writes all the time goes on', async () => {
    const worker = await start({ app: 'worker/http.cjs' });
    const [quiet, busy] = [await listen(worker, '/sse-quiet'), await listen(worker, '/sse')];
    const startedAt = performance.now();
    worker.drain({ within: 30_000, linger: 200, awaited: true });
    const took = await endOf(quiet, startedAt);
    assert.ok(took >= 3_900 && took < stretched(7_300), `took ${took} ms`);
    assert.match(quiet.text, /data: hello\n\n\r\n0\r\n\r\n$/);
    await stays('open', () => busy.ending === 'open', stretched(500));
    worker.drain({ within: 1_000, linger: 0, awaited: true });
    await endOf(busy, startedAt);
    assert.match(busy.text, /data: more\n\n\r\n0\r\n\r\n$/);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('nobody waits: it goes on, until somebody does', async () => {
    const worker = await start({ app: 'worker/http.cjs' });
    const quiet = await listen(worker, '/sse-quiet');
    worker.drain({ within: 60_000, linger: 40_000, awaited: false });
    await stays('open', () => quiet.ending === 'open', 7_500);
    const startedAt = performance.now();
    worker.drain({ within: 30_000, linger: 2_000, awaited: true });
    const took = await endOf(quiet, startedAt);
    assert.ok(took >= 3_900 && took < stretched(7_300), `took ${took} ms`);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('over HTTP/2 it ends as well, and what the app still writes harms nobody', async () => {
    const worker = await startHttp2(false);
    const { session, get } = await connect(worker.port(), 'http');
    const events = get('/sse');
    await until('the stream', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    worker.drain({ within: 30_000, linger: 200, awaited: true });
    assert.equal(await events, 'data: hello\n\n');
    worker.kill('SIGUSR2');
    await until('the end of the session', () => session.destroyed);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
    assert.equal(worker.output, '');
  });
});
