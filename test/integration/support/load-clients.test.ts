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
    const all = total(await run(await serve(t, server), { kind: 'busy', clients: 1, requests: 5 }));
    assert.deepEqual([all.answered, all.connections], [5, 5]);
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
    const kinds = ['busy', 'idle', 'fresh', 'slow', 'download', 'upload', 'events', 'websocket'] as const;
    const mix = new Mix({
      target,
      groups: [
        ...kinds.map((kind) => ({ kind, clients: 2 })),
        { kind: 'fresh', name: 'post', clients: 2, body: 16 * 1024, requests: 20 },
      ],
    }).start();
    await until('answers to all', () =>
      kinds.every((kind) => kind === 'events' || (mix.tallies.get(kind)?.answered ?? 0) > 3),
    );
    const report = await mix.stop();
    const all = total(report);
    all.assertComplete();
    assert.deepEqual(all.details, []);
    assert.deepEqual([...all.pids.keys()], [String(app.pid)]);
    assert.equal(report.post?.answered, 20);
    assert.equal(report.busy?.connections, 2);
    assert.ok((report.slow?.latency.steady?.max ?? 0) >= 195);
  });
});
