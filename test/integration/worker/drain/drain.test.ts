/** HTTP/1 in a drain: nothing that was accepted is lost, nothing stays for ever. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { describe, test } from 'node:test';
import { listeningOn } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { pause, stays, until } from '../../../support/until.ts';
import {
  cleanup,
  gone,
  start as startWorker,
  type WorkerOptions,
  type WorkerUnderTest,
} from '../../../support/worker-harness.ts';

async function start(options: Partial<WorkerOptions> = {}): Promise<WorkerUnderTest> {
  return await startWorker({ app: 'worker/http.cjs', ...options });
}

async function connect(worker: WorkerUnderTest): Promise<RawSocket> {
  const raw = await RawSocket.connected({ port: worker.port() });
  cleanup(() => raw.close());
  return raw;
}

/** A connection that has had one answer, and has said that it stays. */
async function connectIdle(worker: WorkerUnderTest): Promise<RawSocket> {
  const raw = await connect(worker);
  await raw.write(head('/')).waitFor(/hello/);
  assert.match(raw.text, /Connection: keep-alive/);
  return raw;
}

/** Waits until the worker has this many requests in flight. */
async function inFlight(worker: WorkerUnderTest, count: number): Promise<void> {
  await until(`${count} requests in flight`, () => worker.all('beat').at(-1)?.figures.inFlight === count);
}

async function accepted(worker: WorkerUnderTest, count: number): Promise<void> {
  await until(`${count} connections`, () => worker.all('beat').at(-1)?.figures.connections === count);
}

async function assertUncut(worker: WorkerUnderTest): Promise<void> {
  assert.deepEqual(await worker.waitExit(), gone);
  assert.deepEqual(worker.all('drained'), [{ type: 'drained', cutRequests: 0, cutConnections: 0 }]);
}

describe('requests in flight', () => {
  const answers: readonly [string, RegExp][] = [
    ['/slow?ms=300', /slow$/],
    ['/keep?ms=300', /keep\r\n0\r\n\r\n$/],
    ['/keep-pairs?ms=300', /Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n[\s\S]*pairs\r\n0\r\n\r\n$/],
  ];
  for (const [path, expected] of answers) {
    test(`SIG-02: ${path} is answered, with "Connection: close" whatever the app says`, async () => {
      const worker = await start();
      const raw = await connect(worker);
      raw.write(head(path));
      await inFlight(worker, 1);
      worker.drain();
      assert.equal(await raw.waitEnd(), 'fin');
      assert.match(raw.text, expected);
      assert.equal(raw.text.match(/^connection: close\r$/gim)?.length, 1);
      assert.doesNotMatch(raw.text, /keep-alive/i);
      await assertUncut(worker);
    });
  }

  test('CONN-04: a response whose head has been sent is finished, then its connection is closed', async () => {
    const worker = await start();
    const raw = await connect(worker);
    await raw.write(head('/stream?chunks=10&ms=100')).waitFor(/chunk 10/);
    worker.drain();
    assert.equal(await raw.waitEnd(), 'fin');
    assert.match(raw.text, /Connection: keep-alive/);
    assert.match(raw.text, /chunk 1\n[\s\S]*end\n\r\n0\r\n\r\n$/);
    await assertUncut(worker);
  });

  for (const encoding of ['identity', 'chunked']) {
    test(`CONN-03: an upload (${encoding}) is received to its last byte`, async () => {
      const worker = await start();
      const raw = await connect(worker);
      const parts = Array.from({ length: 16 }, () => randomBytes(65_536));
      const isChunked = encoding === 'chunked';
      const length = isChunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(16 * 65_536) };
      raw.write(head('/upload', length, 'POST'));
      for (const [index, part] of parts.entries()) {
        if (index === 4) worker.drain();
        raw.write(isChunked ? Buffer.concat([Buffer.from('10000\r\n'), part, Buffer.from('\r\n')]) : part);
        await pause(60);
      }
      if (isChunked) raw.write('0\r\n\r\n');
      assert.equal(await raw.waitEnd(), 'fin');
      assert.ok(raw.text.endsWith(createHash('sha256').update(Buffer.concat(parts)).digest('hex')));
      await assertUncut(worker);
    });
  }

  test('CONN-03: "Expect: 100-continue" during the drain', async () => {
    const worker = await start();
    const raw = await connectIdle(worker);
    worker.drain({ linger: 2_000 });
    await pause(100);
    raw.write(head('/upload', { 'Content-Length': '4', Expect: '100-continue' }, 'POST'));
    await raw.waitFor(/100 Continue/);
    await pause(100);
    raw.write('data');
    assert.equal(await raw.waitEnd(), 'fin');
    assert.ok(raw.text.endsWith(createHash('sha256').update('data').digest('hex')));
    await assertUncut(worker);
  });

  test('CONN-03: an upload that was answered early may still end', async () => {
    const worker = await start();
    const raw = await connect(worker);
    raw.write(head('/', { 'Content-Length': '10' }, 'POST'));
    await raw.waitFor(/hello$/);
    worker.drain({ within: 3_000, quick: true });
    await raw.trickle('0123456789', 100);
    assert.equal(await raw.waitEnd(), 'fin');
    assert.equal(raw.responses, 1);
    assert.ok(raw.ms > 850, `${raw.ms} ms`);
    await assertUncut(worker);
  });

  test('CONN-08: pipelined requests are all answered, and the last one says so', async () => {
    const worker = await start();
    const raw = await connect(worker);
    raw.write(head('/slow?ms=400') + head('/slow?ms=100').repeat(3) + head('/keep?ms=200'));
    await until('the requests', () => worker.all('beat').at(-1)?.figures.requests === 5);
    worker.drain();
    assert.equal(await raw.waitEnd(), 'fin');
    assert.equal(raw.responses, 5);
    assert.equal(raw.text.match(/^connection: close\r$/gim)?.length, 1);
    assert.match(raw.text, /keep\r\n0\r\n\r\n$/);
    await assertUncut(worker);
  });

  test('CONN-08: pipelined requests that arrive during the drain end with a whole response', async () => {
    const worker = await start();
    const raw = await connectIdle(worker);
    worker.drain({ linger: 2_000 });
    await pause(100);
    raw.write(head('/slow?ms=100').repeat(3));
    assert.equal(await raw.waitEnd(), 'fin');
    assert.equal(raw.responses, 4);
    assert.match(raw.text, /Connection: close\r\n[\s\S]*slow$/);
    await assertUncut(worker);
  });

  test('SIG-03: what is left at the deadline is cut, and said to be', async () => {
    const worker = await start();
    const slow = await connect(worker);
    slow.write(head('/slow?ms=60000'));
    const stream = await connect(worker);
    await stream.write(head('/stream?chunks=9999&ms=50')).waitFor(/chunk 9999/);
    await inFlight(worker, 2);
    const startedAt = performance.now();
    worker.drain({ within: 1_500 });
    const draining = await worker.waitFor('draining');
    assert.deepEqual(draining.requests.map(({ method, url }) => `${method} ${url}`).sort(), [
      'GET /slow?ms=60000',
      'GET /stream?chunks=9999&ms=50',
    ]);
    assert.ok(draining.requests.every(({ age }) => age >= 900 && age < 10_000));
    assert.deepEqual([draining.inFlight, draining.connections, draining.upgraded], [2, 2, 0]);
    await slow.waitEnd();
    assert.match(slow.text, /^HTTP\/1\.1 503 /);
    await stream.waitEnd();
    assert.doesNotMatch(stream.text, /0\r\n\r\n$/);
    assert.deepEqual(await worker.waitExit(), gone);
    const took = performance.now() - startedAt;
    assert.ok(took >= 1_450 && took < stretched(2_000), `took ${took} ms`);
    const [drained] = worker.all('drained');
    assert.deepEqual([drained?.cutRequests, drained?.cutConnections, drained?.requests?.length], [2, 0, 2]);
  });

  test('SIG-04: a second order shortens the first', async () => {
    const worker = await start();
    const raw = await connect(worker);
    raw.write(head('/slow?ms=60000'));
    await inFlight(worker, 1);
    const idle = await connectIdle(worker);
    worker.drain({ within: 60_000, linger: 30_000 });
    await stays('open', () => idle.ending === 'open' && raw.ending === 'open', 300);
    const orderedAt = performance.now();
    worker.drain({ within: 700, linger: 0, quick: true });
    assert.equal(await idle.waitEnd(), 'fin');
    assert.ok(performance.now() - orderedAt < stretched(400));
    assert.deepEqual(await worker.waitExit(), gone);
    assert.ok(performance.now() - orderedAt < stretched(1_400));
    assert.match(raw.text, /503/);
  });

  test('a later order does not lengthen the drain', async () => {
    const worker = await start();
    const raw = await connect(worker);
    raw.write(head('/slow?ms=60000'));
    await inFlight(worker, 1);
    const orderedAt = performance.now();
    worker.drain({ within: 800 });
    worker.drain({ within: 60_000 });
    assert.deepEqual(await worker.waitExit(), gone);
    assert.ok(performance.now() - orderedAt < stretched(1_500));
  });
});

describe('the accept queue', () => {
  test('SIG-02: what already waits in it is served, then it is left to others', async () => {
    const worker = await start();
    const target = { port: worker.port() };
    for (let round = 0; round < 3; round++) await request(target, '/');
    const block = request(target, '/block?ms=1000');
    await pause(100);
    // The worker's loop stands still: these wait in the kernel, and so does the order.
    const waiting = Array.from({ length: 20 }, () => request(target, '/', { timeout: 2_000 }));
    await until('them to wait', () => listeningOn(worker.port()).some(({ waiting: count }) => count >= 20), {
      every: 5,
    });
    worker.drain();
    assert.equal((await block).status, 200);
    for (const { status } of await Promise.all(waiting)) assert.equal(status, 200);
    await assertUncut(worker);
  });
});

describe('idle connections', () => {
  test('CONN-07: stay open for the linger; the next request is served and told to close', async () => {
    const worker = await start();
    const [one, two] = [await connectIdle(worker), await connectIdle(worker)];
    worker.drain({ linger: 1_000 });
    await stays('open', () => one.ending === 'open' && two.ending === 'open', 400);
    one.write(head('/'));
    assert.equal(await one.waitEnd(), 'fin');
    assert.equal(one.responses, 2);
    assert.match(one.text, /Connection: close\r\n[\s\S]*hello$/);
    assert.equal(await two.waitEnd(), 'fin');
    assert.equal(two.responses, 1);
    await assertUncut(worker);
  });

  test('are closed one after the other in the second half of it', async () => {
    const worker = await start();
    const connections = await Promise.all(Array.from({ length: 24 }, () => connectIdle(worker)));
    const startedAt = performance.now();
    worker.drain({ linger: 1_000 });
    const closedAt = await Promise.all(
      connections.map(async (raw) => {
        assert.equal(await raw.waitEnd(), 'fin');
        return performance.now() - startedAt;
      }),
    );
    closedAt.sort((a, b) => a - b);
    const [first = 0, last = 0] = [closedAt[0], closedAt.at(-1)];
    assert.ok(first >= 480, `the first after ${first} ms`);
    assert.ok(last < stretched(1_300), `the last after ${last} ms`);
    assert.ok(last - first > 200, `within ${last - first} ms`);
    await assertUncut(worker);
  });

  test('a connection that has only just become idle is given a moment', async () => {
    const worker = await start();
    const raw = await connect(worker);
    // Ends when the linger is long over.
    await raw.write(head('/stream?chunks=8&ms=100')).waitFor(/chunk 8/);
    worker.drain({ linger: 300 });
    await raw.waitFor(/0\r\n\r\n$/);
    await stays('open', () => raw.ending === 'open', 150);
    raw.write(head('/'));
    assert.equal(await raw.waitEnd(), 'fin');
    assert.match(raw.text, /hello$/);
    await assertUncut(worker);
  });

  test('CONN-02: a connection on which nothing was ever sent goes with them', async () => {
    const worker = await start();
    const raw = await connect(worker);
    await accepted(worker, 1);
    const startedAt = performance.now();
    worker.drain({ linger: 600, within: 30_000 });
    assert.equal(await raw.waitEnd(), 'fin');
    const took = performance.now() - startedAt;
    assert.ok(took >= 280 && took < stretched(1_000), `took ${took} ms`);
    assert.equal(raw.bytes, 0);
    await assertUncut(worker);
  });

  test('CONN-02: and is served if it does send something', async () => {
    const worker = await start();
    const raw = await connect(worker);
    await accepted(worker, 1);
    worker.drain({ linger: 2_000 });
    await pause(200);
    raw.write(head('/'));
    assert.equal(await raw.waitEnd(), 'fin');
    assert.match(raw.text, /hello$/);
  });

  test('a quick drain closes them at once, and lets what is in flight end', async () => {
    const worker = await start();
    const idle = await connectIdle(worker);
    const busy = await connect(worker);
    busy.write(head('/slow?ms=500'));
    await inFlight(worker, 1);
    const startedAt = performance.now();
    worker.drain({ within: 1_000, linger: 2_000, quick: true });
    assert.equal(await idle.waitEnd(), 'fin');
    assert.ok(performance.now() - startedAt < stretched(250));
    assert.equal(await busy.waitEnd(), 'fin');
    assert.match(busy.text, /slow$/);
    await assertUncut(worker);
  });

  test('the server is closed when they are gone, not before', async () => {
    const worker = await start();
    await connectIdle(worker);
    worker.drain({ linger: 800 });
    await stays('not closed', () => !worker.output.includes('server closed'), 300);
    await assertUncut(worker);
    assert.match(worker.output, /server closed/);
  });
});

describe('CONN-01: half a request', () => {
  test('that goes on arriving is served', async () => {
    const worker = await start();
    const raw = await connectIdle(worker);
    raw.write('GET / HTTP/1.1\r\nHost: a\r\n');
    await pause(50);
    worker.drain({ linger: 300, within: 10_000 });
    await pause(900);
    assert.equal(raw.ending, 'open');
    raw.write('X: y\r\n\r\n');
    assert.equal(await raw.waitEnd(), 'fin');
    assert.match(raw.text, /Connection: close\r\n[\s\S]*hello$/);
    await assertUncut(worker);
  });

  for (const from of ['a new', 'a used'] as const) {
    test(`that never ends gets a 408 on ${from} connection, soon after the linger`, async () => {
      const worker = await start();
      const raw = await (from === 'a new' ? connect(worker) : connectIdle(worker));
      raw.write('GET / HTTP/1.1\r\nHost: a\r\n');
      await accepted(worker, 1);
      const startedAt = performance.now();
      worker.drain({ linger: 300, within: 30_000 });
      const trickle = raw.trickle('X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy', 100);
      await raw.waitEnd();
      const took = performance.now() - startedAt;
      assert.match(raw.text, /HTTP\/1\.1 408 /);
      assert.ok(took >= 3_200 && took < stretched(4_200), `took ${took} ms`);
      await trickle;
      await assertUncut(worker);
    });
  }
});

describe('CONN-07 RLD-02: clients that reuse their connections', () => {
  test('lose nothing to a drain, however their next request falls', async () => {
    const worker = await start();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 40 });
    cleanup(() => agent.destroy());
    let [answered, refused] = [0, 0];
    const lost: string[] = [];
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        const answer = await request({ port: worker.port() }, '/', { agent }).catch((error: NodeJS.ErrnoException) => {
          lost.push(error.code ?? error.message);
          return null;
        });
        if (answer?.status === 200) answered += 1;
        // Told to close: a client with a master behind the address would connect anew, to another worker.
        if (answer === null || answer.headers.connection === 'close') {
          refused += 1;
          return;
        }
        await pause(Math.random() * 30);
      }
    };
    const clients = Array.from({ length: 40 }, client);
    await until('them to be under way', () => answered >= 200);
    worker.drain({ linger: 500 });
    await assertUncut(worker);
    isOver = true;
    await Promise.all(clients);
    assert.deepEqual(lost, []);
    assert.equal(refused, 40);
  });
});

describe('CONN-09: clients that leave', () => {
  test('by a reset, in the middle of anything, do no harm', async () => {
    const worker = await start();
    const paths = [
      '',
      'GET / HT',
      head('/slow?ms=200'),
      head('/stream?chunks=99&ms=5'),
      head('/upload', { 'Content-Length': '9' }, 'POST'),
    ];
    const leave = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index++) {
        const raw = await connect(worker);
        raw.write(paths[index % paths.length] ?? '');
        if (index % 3 === 0) await pause(1);
        raw.reset();
      }
    };
    await leave(100);
    const leaving = leave(100);
    worker.drain();
    await leaving;
    await assertUncut(worker);
    assert.doesNotMatch(worker.output, /Error/);
  });
});

describe('what is open beside HTTP', () => {
  test('a server that listens only during the drain does not hold it up', async () => {
    const worker = await start();
    const answer = request({ port: worker.port() }, '/slow?ms=600');
    await inFlight(worker, 1);
    const startedAt = performance.now();
    worker.drain({ within: 30_000 });
    await pause(100);
    worker.kill('SIGUSR2');
    assert.equal((await answer).status, 200);
    await assertUncut(worker);
    assert.equal(worker.all('listen').length, 2);
    assert.ok(performance.now() - startedAt < stretched(2_000));
  });

  test('CONN-04: an event stream ends in good order, shortly before the deadline', async () => {
    const worker = await start();
    const raw = await connect(worker);
    await raw.write(head('/sse')).waitFor(/data: more/);
    const startedAt = performance.now();
    worker.drain({ within: 2_500 });
    assert.equal(await raw.waitEnd(), 'fin');
    const took = performance.now() - startedAt;
    assert.ok(took >= 1_900 && took < stretched(2_450), `took ${took} ms`);
    assert.match(raw.text, /data: more\n\n\r\n0\r\n\r\n$/);
    await assertUncut(worker);
  });
});
