/**
 * The load clients are what says "not one request failed", so they are held against servers that do fail: each kind of
 * failure must be seen, named, and counted.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startLoad } from '../../support/load/child.ts';
import { type Group, Mix, type Report, total } from '../../support/load/mix.ts';
import type { Failure } from '../../support/load/tally.ts';
import { fixtureApp } from '../../support/paths.ts';
import { freePort, request, type Target } from '../../support/request.ts';
import { until } from '../../support/until.ts';

async function serve(t: TestContext, server: net.Server): Promise<Target> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port };
}

async function run(target: Target, group: Group): Promise<Report> {
  const mix = new Mix({ target, groups: [group] }).start();
  const report = await mix.done();
  total(report).assertComplete();
  return report;
}

/** Three requests, all of which must fail in this one way. */
async function expectAll(target: Target, failure: Failure, group: Partial<Group> = {}): Promise<void> {
  const all = total(await run(target, { kind: 'busy', clients: 1, requests: 3, timeout: 300, ...group }));
  assert.deepEqual([all.sent, all.answered, all.failedAs(failure)], [3, 0, 3], all.details.join('\n'));
}

const good = JSON.stringify({ pid: 1, version: 'v1' });

describe('load clients name every failure', () => {
  it('refused', async () => {
    await expectAll({ port: await freePort() }, 'refused');
    await expectAll({ socketPath: join(tmpdir(), 'prefork-no-such-socket') }, 'refused', { kind: 'fresh' });
  });

  it('reset before the first byte', async (t) => {
    const target = await serve(
      t,
      net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())),
    );
    await expectAll(target, 'reset-before-byte');
    await expectAll(target, 'reset-before-byte', { kind: 'events' });
    await expectAll(target, 'reset-before-byte', { kind: 'websocket' });
  });

  it('an orderly close instead of an answer', async (t) => {
    await expectAll(
      await serve(
        t,
        net.createServer((socket) => socket.once('data', () => socket.end())),
      ),
      'reset-before-byte',
    );
  });

  it('cut in the middle of a body', async (t) => {
    const cut = http.createServer((_req, res) => {
      res.write(good);
      setTimeout(() => res.socket?.destroy(), 20);
    });
    const target = await serve(t, cut);
    await expectAll(target, 'reset-mid-body');
    await expectAll(target, 'reset-mid-body', { kind: 'download' });
  });

  it('events cut in the middle', async (t) => {
    const cut = http.createServer((_req, res) => {
      res.write('data: {"event":0,"pid":1}\n\n');
      setTimeout(() => res.socket?.destroy(), 20);
    });
    await expectAll(await serve(t, cut), 'reset-mid-body', { kind: 'events' });
  });

  it('a client that waits in vain', async (t) => {
    const target = await serve(
      t,
      net.createServer((socket) => socket.resume()),
    );
    await expectAll(target, 'client-timeout');
    await expectAll(target, 'client-timeout', { kind: 'events' });
    await expectAll(target, 'client-timeout', { kind: 'http2' });
  });

  it('wrong bodies', async (t) => {
    const target = await serve(
      t,
      http.createServer((_req, res) => res.end('{"pid":1,"id":"of another request"}')),
    );
    await expectAll(target, 'wrong-body');
    await expectAll(target, 'wrong-body', { kind: 'upload' });
    await expectAll(target, 'wrong-body', { kind: 'download' });
    await expectAll(
      await serve(
        t,
        http.createServer((_req, res) => res.end('hello')),
      ),
      'wrong-body',
    );
  });

  it('5xx, and other statuses', async (t) => {
    const answering = (status: number) =>
      serve(
        t,
        http.createServer((_req, res) => {
          res.statusCode = status;
          res.end(good);
        }),
      );
    await expectAll(await answering(503), 'http-5xx');
    await expectAll(await answering(404), 'other');
  });

  it('a reused connection that the server closed is a failure, not a retry', async (t) => {
    let answers = 0;
    const server = net.createServer((socket) => {
      let requests = 0;
      socket.on('error', () => undefined);
      socket.on('data', () => {
        requests++;
        if (requests > 1) {
          socket.destroy();
          return;
        }
        answers++;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${good.length}\r\n\r\n${good}`);
      });
    });
    const all = total(await run(await serve(t, server), { kind: 'busy', clients: 1, requests: 4 }));
    assert.deepEqual([all.answered, all.failedAs('reset-before-byte'), answers], [2, 2, 2]);
    assert.match(all.details[0] ?? '', /reused connection/);
  });

  it('Connection: close is obeyed', async (t) => {
    const server = http.createServer((_req, res) => res.setHeader('connection', 'close').end(good));
    const target = await serve(t, server);
    for (const kind of ['busy', 'keep-alive', 'slow-head', 'fetch'] as const) {
      const all = total(await run(target, { kind, clients: 1, requests: 5 }));
      assert.deepEqual([all.answered, all.connections], [5, 5], kind);
    }
  });
});

describe('clients on bare sockets, and fetch, name every failure', () => {
  const bare = ['keep-alive', 'pipelining', 'slow-head'] as const;

  it('refused', async () => {
    const target = { port: await freePort() };
    for (const kind of [...bare, 'fetch', 'ws'] as const) await expectAll(target, 'refused', { kind, count: 1 });
  });

  it('cut before the answer, and in the middle of it', async (t) => {
    const deaf = await serve(
      t,
      net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())),
    );
    for (const kind of [...bare, 'fetch', 'ws'] as const) {
      await expectAll(deaf, 'reset-before-byte', { kind, count: 1 });
    }
    const half = await serve(
      t,
      net.createServer((socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{'));
      }),
    );
    for (const kind of ['keep-alive', 'pipelining', 'fetch'] as const) {
      await expectAll(half, 'reset-mid-body', { kind, count: 1 });
    }
  });

  it('a client that waits in vain, wrong bodies, 5xx, and what is no HTTP', async (t) => {
    const silent = await serve(
      t,
      net.createServer((socket) => socket.resume()),
    );
    for (const kind of ['keep-alive', 'fetch', 'ws'] as const) {
      await expectAll(silent, 'client-timeout', { kind, timeout: 50 });
    }
    const wrong = await serve(
      t,
      http.createServer((_req, res) => res.end('{"pid":1,"id":"of another request"}')),
    );
    const ill = await serve(
      t,
      http.createServer((_req, res) => res.writeHead(503).end('ill')),
    );
    const noise = await serve(
      t,
      net.createServer((socket) => socket.once('data', () => socket.end('hello\r\n\r\n'))),
    );
    const timesOut = await serve(
      t,
      net.createServer((socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'));
      }),
    );
    for (const kind of [...bare, 'fetch'] as const) {
      await expectAll(wrong, 'wrong-body', { kind, count: 1 });
      await expectAll(ill, 'http-5xx', { kind, count: 1 });
      if (kind !== 'fetch') await expectAll(noise, 'other', { kind, count: 1 });
      const late = total(await run(timesOut, { kind, clients: 1, requests: 1, count: 1 }));
      assert.match(late.details[0] ?? '', /^other after .*: 408/);
    }
  });

  it('a reused connection that ends is a failure if a request is on its way, and none if the client knows', async (t) => {
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${good.length}\r\n\r\n${good}`;
    const cuts = net.createServer((socket) => {
      let requests = 0;
      socket.on('error', () => undefined);
      socket.on('data', () => (++requests > 1 ? socket.resetAndDestroy() : socket.write(answer)));
    });
    const cut = total(await run(await serve(t, cuts), { kind: 'keep-alive', clients: 1, requests: 4 }));
    assert.deepEqual([cut.answered, cut.failedAs('reset-before-byte'), cut.connections], [2, 2, 2]);
    assert.match(cut.details[0] ?? '', /on a reused connection of worker 1/);
    const leaves = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => socket.end(answer));
    });
    const known = total(
      await run(await serve(t, leaves), { kind: 'keep-alive', clients: 1, requests: 3, think: [150, 160] }),
    );
    assert.deepEqual([known.answered, known.failed, known.connections], [3, 0, 3]);
  });

  it('Keep-Alive: timeout is honoured with a margin', async (t) => {
    const server = http.createServer((_req, res) => res.setHeader('Keep-Alive', 'timeout=1').end(good));
    server.keepAliveTimeout = 10_000;
    const target = await serve(t, server);
    const soon = total(await run(target, { kind: 'keep-alive', clients: 1, requests: 3 }));
    assert.deepEqual([soon.answered, soon.connections], [3, 1]);
    const late = total(await run(target, { kind: 'keep-alive', clients: 1, requests: 3, think: [600, 610] }));
    assert.deepEqual([late.answered, late.connections], [3, 3]);
  });

  it('pipelined requests are answered one by one, and what comes after a last response has failed', async (t) => {
    const server = http.createServer((req, res) => {
      const id = new URL(req.url ?? '', 'http://localhost').searchParams.get('id');
      res.end(JSON.stringify({ pid: 1, id }));
    });
    const target = await serve(t, server);
    const all = total(await run(target, { kind: 'pipelining', clients: 1, requests: 3, count: 5 }));
    assert.deepEqual([all.sent, all.answered, all.connections], [15, 15, 1]);
    const last = `HTTP/1.1 200 OK\r\nContent-Length: ${good.length}\r\nConnection: close\r\n\r\n${good}`;
    const once = net.createServer((socket) => void socket.once('data', () => socket.end(last)));
    const some = total(await run(await serve(t, once), { kind: 'pipelining', clients: 1, requests: 2, count: 3 }));
    assert.deepEqual([some.sent, some.answered, some.failedAs('reset-before-byte')], [6, 2, 4]);
  });

  it('a loop that stalls does not notice what comes meanwhile', async (t) => {
    const server = http.createServer((_req, res) => res.end(good));
    const target = await serve(t, server);
    const load = startLoad(t, {
      target,
      // One that pauses may do so whenever the loop stalls.
      groups: [{ kind: 'keep-alive', clients: 2 }],
      stall: { every: [200, 300], lasts: 400 },
    });
    await load.answered(5_000);
    const all = total(await load.stop());
    all.assertComplete();
    assert.deepEqual([all.failed, all.connections, all.clients], [0, 2, 2]);
    assert.ok(all.overall.max >= 300, String(all.overall.max));
  });
});

describe('load clients against the one-file app', () => {
  it('every kind is answered, and stopping leaves nothing unaccounted for', async (t) => {
    const port = await freePort();
    const app = spawn(process.execPath, [fixtureApp], {
      env: { PORT: String(port) },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    t.after(() => app.kill('SIGKILL'));
    const target = { port };
    await until('the app', async () => (await request(target, '/healthz')).status === 200);
    const older = ['busy', 'idle', 'fresh', 'slow', 'download', 'upload', 'events', 'websocket'] as const;
    const kinds = [...older, 'keep-alive', 'pipelining', 'slow-head', 'fetch'] as const;
    const mix = new Mix({
      target,
      groups: [
        ...kinds.map((kind) => ({ kind, clients: 2 })),
        { kind: 'fresh', name: 'post', clients: 2, body: 16 * 1024, requests: 20 },
        { kind: 'websocket', name: 'three lines each', clients: 1, count: 3, requests: 12 },
      ],
    }).start();
    const answers = (name: string): number => mix.tallies.get(name)?.answered ?? 0;
    await until('answers to all', () => kinds.every((kind) => kind === 'events' || answers(kind) > 3));
    await until('what is limited to be done', () => answers('post') >= 20 && answers('three lines each') >= 16);
    const report = await mix.stop();
    const all = total(report);
    all.assertComplete();
    assert.deepEqual(all.details, []);
    assert.deepEqual([...all.pids.keys()], [String(app.pid)]);
    assert.equal(report.post?.answered, 20);
    // An upgrade and three echoes, four times.
    const lines = report['three lines each'];
    assert.deepEqual([lines?.answered, lines?.connections], [16, 4]);
    for (const kind of ['busy', 'keep-alive', 'pipelining', 'slow-head', 'fetch']) {
      assert.equal(report[kind]?.connections, 2, kind);
    }
    assert.ok((report.slow?.latency.steady?.max ?? 0) >= 195);
  });
});
