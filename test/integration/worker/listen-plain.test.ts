/**
 * What `listen()` and `close()` do under plain node they do in a worker: errors in Node's own words, an address that is
 * known at once, and one that is free when its server is closed. Each app runs bare and under prefork.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { fdCount, isAlive, listeningOn } from '../../support/proc.ts';
import { freePort, request, requestJson } from '../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const node = process.env.PREFORK_TEST_NODE ?? process.execPath;

interface Place {
  readonly port: number;
  readonly used: number;
  readonly free: number;
  readonly dir: string;
}

/** Files in a folder, and another process' addresses. */
async function place(t: TestContext): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-ways-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'file'), '');
  const [tcp, unix] = [createServer(), createServer()];
  const used = await new Promise<number>((resolve) => {
    tcp.listen(0, () => {
      const at = tcp.address();
      resolve(typeof at === 'object' && at !== null ? at.port : 0);
    });
  });
  await new Promise<void>((resolve) => unix.listen(join(dir, 'live.sock'), resolve));
  t.after(() => {
    tcp.close();
    unix.close();
  });
  return { port: await freePort(), used, free: await freePort(), dir };
}

async function bare(t: TestContext, app: string, env: Readonly<Record<string, string>>, port: number): Promise<void> {
  const child = spawn(node, [app], { env: { ...process.env, ...env, PORT: String(port) }, stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await until('the end of it', () => child.pid === undefined || !isAlive(child.pid));
  });
  await until('plain node', () =>
    request({ port }, '/').then(
      () => true,
      () => false,
    ),
  );
}

async function supervised(
  t: TestContext,
  app: string,
  port: number,
  options: { workers?: number; env?: Readonly<Record<string, string>> } = {},
): Promise<Supervisor> {
  const { workers = 1, env = {} } = options;
  const s = await startSupervisor(t, { app, workers, bind: null, env: { PORT: String(port), ...env } });
  await s.waitForLog(/^ready/);
  return s;
}

interface Said {
  readonly what: string;
  readonly refused?: unknown;
}

async function ways(at: Place): Promise<readonly Said[]> {
  const { port, used, free, dir } = at;
  const query = new URLSearchParams({ used: String(used), free: String(free), dir });
  const answer = await request({ port }, `/ways?${query}`, { timeout: 20_000 });
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Said[];
}

describe('listen as under plain node', () => {
  it('LISTEN: every way to listen has the same outcome, error and address', async (t) => {
    const at = await place(t);
    const app = fixture('node/listen-ways.cjs');
    const other = await freePort();
    await bare(t, app, {}, other);
    const expected = await ways({ ...at, port: other });
    const s = await supervised(t, app, at.port);
    const found = await ways(at);
    for (const [index, each] of expected.entries()) assert.deepEqual(found[index], each, each.what);
    assert.equal(found.length, expected.length);
    await stopClean(s, { allow: /cannot bind|the app asks for/ });
  });

  it('LISTEN: the address is there when listen() returns', async (t) => {
    const port = await freePort();
    const app = fixture('node/listen-at-once.cjs');
    const s = await supervised(t, app, port, { workers: 2 });
    const { listening, address } = JSON.parse((await request({ port }, '/')).body) as {
      listening: boolean;
      address: { port: number; address: string } | null;
    };
    assert.equal(listening, true);
    assert.equal(address?.port, port);
    await stopClean(s);
  });
});

/** What the app of listen-ports.cjs is told to do, in one of its workers. */
async function told(port: number, what: string): Promise<Record<string, unknown>> {
  return await requestJson({ port }, what);
}

async function isRefused(port: number): Promise<boolean> {
  return await request({ port }, '/', { timeout: 1_000 }).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  );
}

describe('an address that the app has closed', () => {
  const app = fixture('node/listen-ports.cjs');

  it('LISTEN: is free when close() calls back: refused, and another process can have it', async (t) => {
    const port = await freePort();
    const s = await supervised(t, app, port);
    for (let turn = 0; turn < 3; turn += 1) {
      const { free, outcome, refused } = await told(port, '/free-port');
      assert.equal(refused, 'ECONNREFUSED');
      assert.equal(outcome, 'child listens', `port ${String(free)}`);
    }
    await stopClean(s);
  });

  it('LISTEN: port 0 is another port each time, and not shared with other workers', async (t) => {
    const port = await freePort();
    const s = await supervised(t, app, port, { workers: 2 });
    const { ports } = await told(port, '/zeros?count=10');
    assert.equal(new Set(ports as number[]).size, 10);
    for (let turn = 0; turn < 10; turn += 1)
      assert.deepEqual(await told(port, '/ask-own'), { own: 'own', later: 'own' });
    await stopClean(s);
  });

  it('LISTEN: hundreds that are opened and closed leave no descriptor in the master', async (t) => {
    const port = await freePort();
    const s = await supervised(t, app, port);
    const from = await freePort();
    await told(port, `/probe?from=${from}&count=20`);
    const before = fdCount(s.pid);
    for (let turn = 0; turn < 3; turn += 1) {
      const { free } = await told(port, `/probe?from=${from}&count=100`);
      assert.ok(Number(free) > 90, `${String(free)} of 100`);
    }
    assert.ok(fdCount(s.pid) <= before + 2, `${before} before, ${fdCount(s.pid)} after`);
    assert.ok(await isRefused(from));
    await stopClean(s, { allow: /cannot bind/ });
  });

  it('LISTEN: one that was served from the start is closed when the last worker has closed it', async (t) => {
    const [port, second] = [await freePort(), await freePort()];
    const s = await supervised(t, app, port, { workers: 2, env: { SECOND: String(second) } });
    assert.equal((await request({ port: second }, '/')).body, 'second');
    const closed = new Set<unknown>();
    await until('every worker to close it', async () => {
      const isFirst = closed.size === 0;
      closed.add((await told(port, '/close-second')).pid);
      if (isFirst) assert.equal((await request({ port: second }, '/')).body, 'second');
      return closed.size === 2;
    });
    await until('it to be refused', () => isRefused(second));
    assert.deepEqual(listeningOn(second), []);
    assert.equal((await request({ port }, '/')).status, 200);
    // A new worker serves it again, and a reload does.
    assert.match((await s.reload()).msg, /done/);
    assert.equal((await request({ port: second }, '/')).body, 'second');
    await stopClean(s);
  });

  it('LISTEN: an app that closes its only server and listens anew loses no request', async (t) => {
    const port = await freePort();
    const s = await supervised(t, app, port);
    const counts = { sent: 0, answered: 0 };
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        counts.sent += 1;
        const { status } = await request({ port }, '/');
        if (status === 200) counts.answered += 1;
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    for (const how of ['at-once', 'closed', 'later']) await request({ port }, `/listen-anew?how=${how}`);
    await until('each way to be done', () => s.log.length > 0 && s.stdout.text.split('anew').length > 3);
    isOver = true;
    await clients;
    assert.equal(counts.answered, counts.sent);
    await stopClean(s);
  });
});

describe('what a worker asks for', () => {
  it('TRUST: a forged question for the default address does not stop the service', async (t) => {
    const [port, taken] = [await freePort(), createServer()];
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.after(() => taken.close());
    const at = taken.address();
    const env = { APP_PORT: String(port), PORT: String(typeof at === 'object' && at !== null ? at.port : 0) };
    const s = await startSupervisor(t, { app: fixture('faults/forged-listen.cjs'), workers: 1, bind: null, env });
    await s.waitForLog(/^ready/);
    await request({ port }, '/forge');
    await s.waitForLog(/cannot bind .*address in use/);
    assert.equal((await request({ port }, '/')).body, 'ok');
    await stopClean(s, { allow: /cannot bind/ });
  });
});
