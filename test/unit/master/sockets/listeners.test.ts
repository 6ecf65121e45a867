import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BindError } from '../../../../src/errors.ts';
import { errnoOf, Listeners } from '../../../../src/master/sockets/listeners.ts';
import { supportsReusePort } from '../../../../src/system/node-internals.ts';
import { freePort } from '../../../support/request.ts';

function open(t: TestContext, options: { queues?: number; socketMode?: number } = {}): Listeners {
  const listeners = new Listeners({ queues: 1, socketMode: 0o660, socketOwner: null, ...options });
  t.after(() => listeners.closeAll());
  return listeners;
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-listeners-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function holder(t: TestContext, at: string | number): Promise<Server> {
  const server = createServer();
  t.after(() => server.close());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (typeof at === 'number') server.listen(at, '127.0.0.1', () => resolve(server));
    else server.listen(at, () => resolve(server));
  });
}

const tcp = (port: number, host = '127.0.0.1') => ({ kind: 'tcp', host, port }) as const;
const portOf = (server: Server) => (server.address() as { port: number }).port;
const withErrno = (errno: string) => (error: unknown) => error instanceof BindError && error.errno === errno;

test('BIND-01 listeners: an address in use is named, with what to do', async (t) => {
  const port = portOf(await holder(t, 0));
  await assert.rejects(open(t).openAll([tcp(port)], 10), (error) => {
    assert.ok(error instanceof BindError);
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}: address in use.*EADDRINUSE`));
    assert.equal(errnoOf(error), -98);
    return true;
  });
});

test('BIND-02 listeners: each failure has a message of its own', async (t) => {
  const path = folder(t);
  await assert.rejects(open(t).openAll([tcp(8080, '10.255.255.1')], 10), withErrno('EADDRNOTAVAIL'));
  await assert.rejects(open(t).openAll([tcp(8080, 'no-such-host.invalid')], 10), withErrno('ENOTFOUND'));
  await assert.rejects(open(t).openAll([{ kind: 'unix', path: join(path, 'missing', 's') }], 10), withErrno('ENOENT'));
  await assert.rejects(open(t).openAll([{ kind: 'fd', fd: 999 }], 10), withErrno('EBADF'));
});

test('BIND-03 listeners: several are opened together or not at all', async (t) => {
  const port = portOf(await holder(t, 0));
  const path = join(folder(t), 's');
  const listeners = open(t);
  await assert.rejects(listeners.openAll([{ kind: 'unix', path }, tcp(port)], 10), BindError);
  assert.deepEqual(listeners.all(), []);
  assert.throws(() => statSync(path), /ENOENT/);
});

test('BIND-04 listeners: an address that stays keeps its kernel socket', async (t) => {
  const listeners = open(t);
  const [first] = (await listeners.openAll([tcp(0)], 10)).listeners;
  const again = await listeners.openAll([tcp(0)], 10);
  assert.deepEqual(again.added, []);
  assert.equal(again.listeners[0], first);
});

test('BIND-05 listeners: port 0 is shown as the port it became; two of them are two ports', async (t) => {
  const { listeners } = await open(t).openAll([tcp(0), tcp(0)], 10);
  const labels = listeners.map(({ label }) => label);
  assert.equal(new Set(labels).size, 2);
  for (const label of labels) assert.match(label, /^127\.0\.0\.1:[1-9]\d+$/);
});

test('SOCK-01 listeners: a stale socket is replaced; a live one, a file, a directory are refused and left alone', async (t) => {
  const path = folder(t);
  const live = join(path, 'live');
  await holder(t, live);
  writeFileSync(join(path, 'file'), 'precious');
  for (const at of [live, join(path, 'file'), path]) {
    const before = statSync(at).ino;
    await assert.rejects(open(t).openAll([{ kind: 'unix', path: at }], 10), BindError, at);
    assert.equal(statSync(at).ino, before);
  }
});

test('SOCK-02 listeners: the umask of the caller does not change the mode of a unix socket', async (t) => {
  const umask = process.umask();
  t.after(() => process.umask(umask));
  for (const mask of [0o000, 0o022, 0o077]) {
    process.umask(mask);
    const path = join(folder(t), 's');
    await open(t, { socketMode: 0o660 }).openAll([{ kind: 'unix', path }], 10);
    assert.equal((statSync(path).mode & 0o777).toString(8), '660', `umask ${mask.toString(8)}`);
    assert.equal(process.umask(), mask);
  }
});

test('listeners: queues of a port share it, and do not share it with a stranger', async (t) => {
  if (!supportsReusePort()) return t.skip('SO_REUSEPORT needs Linux and Node 22.12');
  const [listener] = (await open(t, { queues: 3 }).openAll([tcp(0)], 10)).listeners;
  assert.equal(listener?.queues.length, 3);
  const port = Number(listener?.label.split(':')[1]);
  for (const queue of listener?.queues ?? []) assert.equal(queue.listen(10), 0);
  await assert.rejects(open(t, { queues: 3 }).openAll([tcp(port)], 10), withErrno('EADDRINUSE'));
});

test('SEC-07 listeners: what is asked for several times at once is opened once, and no socket is left over', async (t) => {
  const listeners = open(t);
  const port = await freePort();
  const query = { address: '127.0.0.1', port, addressType: 4, fd: null, flags: 0 };
  const before = sockets();
  const opened = await Promise.all([1, 2, 3, 4].map(() => listeners.openQuery(query, 0, 10)));
  assert.equal(new Set(opened).size, 1);
  assert.equal(sockets(), before + 1);
});

/** Sockets that this process has open. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // That of the folder itself is closed by now.
      return false;
    }
  }).length;
}
