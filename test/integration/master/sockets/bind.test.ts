/** Catalogue groups BIND and SOCK: the sockets of a running service. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { assertClean, stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { listeningOn } from '../../../support/proc.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor, writeConfig } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const fatal = /"level":60/;

async function hold(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

async function refused(t: TestContext, bind: readonly string[], pattern: RegExp): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers: 2, bind });
  const { code } = await s.waitExit(20_000);
  assert.ok(code === 1 || code === 2, s.describe());
  assert.match(s.stderr.text, pattern);
  assert.equal(s.log.filter(({ msg }) => msg.startsWith('worker spawned')).length, 0, 'no worker is forked');
  assert.deepEqual(s.processesLeft(), []);
  return s;
}

test('BIND-01 a port in use: retried as Gunicorn does, then one clear line and exit 1', async (t) => {
  const port = await hold(t);
  const started = performance.now();
  const s = await refused(t, [`127.0.0.1:${port}`], new RegExp(`cannot bind 127\\.0\\.0\\.1:${port}: address in use`));
  assert.ok(performance.now() - started > 4_500);
  assert.equal(s.log.filter(({ msg }) => msg.includes('trying again')).length, 5);
  await assertClean(s, { code: 1, allow: fatal });
});

test('BIND-01 a port that becomes free while it is retried is taken', async (t) => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  const s = await startSupervisor(t, { workers: 1, bind: [`127.0.0.1:${port}`] });
  await s.waitForLog(/trying again/);
  holder.close();
  await s.waitForLog(/^ready/);
  assert.equal((await request({ port }, '/pid')).status, 200);
  await stopClean(s);
});

test('BIND-02 addresses that cannot be had: distinct messages, no worker', async (t) => {
  await refused(t, ['10.255.255.1:8080'], /no interface of this machine has that address/);
  await refused(t, ['host:99999'], /65535/);
  await refused(t, ['unix:/no/such/directory/x.sock'], /the directory does not exist/);
  await refused(t, ['fd://99'], /not an open listening socket/);
});

test('BIND-03 several addresses, one of them taken: none is kept', async (t) => {
  const [taken, free] = [await hold(t), await freePort()];
  await refused(t, [`127.0.0.1:${free}`, `127.0.0.1:${taken}`], /address in use/);
  assert.deepEqual(listeningOn(free), []);
});

test('BIND-04 the addresses change on HUP: what stays is the same socket, what is new is bound first', async (t) => {
  const [a, b, c] = [await freePort(), await freePort(), await freePort()];
  const at = (port: number) => `127.0.0.1:${port}`;
  const s = await startSupervisor(t, { workers: 2, bind: null, config: { bind: [at(a), at(b)] } });
  await s.waitForLog(/^ready/);
  const inode = listeningOn(b)[0]?.inode;
  assert.ok(inode !== undefined);
  const config = join(s.dir, 'supervisor.config.mjs');

  writeConfig(config, { bind: [at(b), at(c)] });
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 1 done/);
  assert.equal(listeningOn(b)[0]?.inode, inode);
  assert.equal((await request({ port: c }, '/pid')).status, 200);
  assert.equal((await request({ port: b }, '/pid')).status, 200);
  await until('the old address to be let go', () => listeningOn(a).length === 0);

  const taken = await hold(t);
  writeConfig(config, { bind: [at(b), at(taken)] });
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 2 failed, nothing was changed: cannot bind .* address in use/);
  assert.equal(listeningOn(b)[0]?.inode, inode);
  assert.equal((await request({ port: c }, '/pid')).status, 200);
  await stopClean(s, { ports: [a, b, c] });
});

test('BIND-05 port 0 is chosen once: the same for all workers, after a crash and after a reload', async (t) => {
  const s = await startSupervisor(t, { workers: 3, bind: ['127.0.0.1:0'] });
  const line = await s.waitForLog(/^prefork starts .* on 127\.0\.0\.1:[1-9]/);
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(line.msg)?.[1]);
  await s.waitForLog(/^ready/);
  const [inode] = listeningOn(port).map((socket) => socket.inode);
  assert.ok(inode !== undefined);
  for (const pid of s.workers()) process.kill(pid, 'SIGKILL');
  assert.equal((await request({ port }, '/pid')).status, 200);
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 1 done/);
  assert.equal(listeningOn(port)[0]?.inode, inode);
  assert.equal((await request({ port }, '/pid')).status, 200);
  await stopClean(s, { ports: [port] });
});

test("BIND-06 the backlog is the kernel's: connections wait while every worker blocks, the master holds none", async (t) => {
  const s = await startSupervisor(t, { workers: 1 });
  await s.waitForLog(/^ready/);
  const fds = s.figures().fds;
  // Long enough for the clients to connect, and far from the time after which the worker counts as stuck.
  const blocked = request(s.target, `/spin?ms=${Math.min(stretched(2_000), 8_000)}`, { timeout: 20_000 });
  await s.arrived();
  const waiting = Array.from({ length: 200 }, () => request(s.target, '/pid', { timeout: 20_000 }));
  await until('the connections to wait in the kernel', () => listeningOn(s.port).some(({ waiting }) => waiting > 100));
  assert.ok(s.figures().fds <= fds + 2);
  for (const answer of await Promise.all([blocked, ...waiting])) assert.equal(answer.status, 200);
  await stopClean(s);
});

test('two addresses of different kinds serve the same app; the unix socket goes with the master', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['-b', 'unix:app.sock'] });
  await s.waitForLog(/^ready/);
  const path = join(s.dir, 'app.sock');
  assert.equal((statSync(path).mode & 0o777).toString(8), '660');
  assert.equal((await request({ socketPath: path }, '/pid')).status, 200);
  assert.equal((await request(s.target, '/pid')).status, 200);
  await stopClean(s, { gone: [path] });
});

test('an app that listens by itself is served where it asks, or on bind where that is given; PORT says where', async (t) => {
  const port = await freePort();
  const own = await startSupervisor(t, { workers: 2, bind: null, env: { PORT: String(port) } });
  await own.waitForLog(/^ready/);
  assert.equal((await request({ port }, '/pid')).status, 200);
  await stopClean(own, { ports: [port] });

  const bound = await startSupervisor(t, { workers: 1, env: { PORT: String(port) } });
  await bound.waitForLog(/^ready/);
  assert.equal((await requestJson(bound.target, '/env')).env !== undefined, true);
  assert.equal(((await requestJson(bound.target, '/env')).env as Record<string, string>).PORT, String(bound.port));
  assert.deepEqual(listeningOn(port), []);
  await stopClean(bound);
});

test('an app that exports a handler is served on PORT', async (t) => {
  const port = await freePort();
  const s = await startSupervisor(t, {
    workers: 2,
    app: fixture('node/handler.mjs'),
    bind: null,
    env: { PORT: String(port) },
  });
  await s.waitForLog(/^ready/);
  assert.equal((await request({ port }, '/')).status, 200);
  await stopClean(s, { ports: [port] });
});

test('an inherited socket (fd://3) is used, and survives its workers and a reload', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const s = await startSupervisor(t, { workers: 2, bind: ['fd://3'], inherit: [server] });
  await s.waitForLog(/^ready/);
  // The test no longer accepts; the socket itself lives on in the master.
  server.close();
  assert.equal((await request({ port }, '/pid')).status, 200);
  for (const pid of s.workers()) process.kill(pid, 'SIGKILL');
  assert.equal((await request({ port }, '/pid')).status, 200);
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 1 done/);
  assert.equal((await request({ port }, '/pid')).status, 200);
  await stopClean(s, { ports: [port] });
});

test('SOCK-01 after kill -9 of the master a new one starts at once over the stale socket and pidfile', async (t) => {
  const first = await startSupervisor(t, { workers: 2, args: ['-p', 'app.pid', '-b', 'unix:app.sock'] });
  await first.waitForLog(/^ready/);
  const [pidfile, socket] = [join(first.dir, 'app.pid'), join(first.dir, 'app.sock')];
  first.signal('SIGKILL');
  await first.waitExit();
  assert.ok(existsSync(socket) && existsSync(pidfile));
  const second = await startSupervisor(t, {
    workers: 2,
    bind: [`127.0.0.1:${first.port}`, `unix:${socket}`],
    args: ['-p', pidfile],
  });
  await second.waitForLog(/^ready/);
  assert.equal((await request({ socketPath: socket }, '/pid')).status, 200);
  assert.equal(readFileSync(pidfile, 'utf8'), `${second.pid}\n`);
  await stopClean(second, { gone: [pidfile, socket] });
});

test('SOCK-01 what is not a stale socket is refused and left alone', async (t) => {
  const probe = await startSupervisor(t, { app: null, bind: null, args: ['--version'] });
  const file = join(probe.dir, 'file');
  const folder = join(probe.dir, 'folder');
  const link = join(probe.dir, 'link');
  writeFileSync(file, 'precious');
  mkdirSync(folder);
  symlinkSync(file, link);
  for (const path of [file, folder, link]) await refused(t, [`unix:${path}`], /exists and is not a socket/);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

test('SOCK-05 the pidfile has no gap during a reload and is not rewritten', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['-p', 'app.pid'] });
  await s.waitForLog(/^ready/);
  const pidfile = join(s.dir, 'app.pid');
  const { ino } = statSync(pidfile);
  s.signal('SIGHUP');
  await until('the reload to end, the pidfile there all the time', () => {
    assert.equal(statSync(pidfile).ino, ino);
    return s.log.some(({ msg }) => msg.startsWith('reload 1 done'));
  });
  await stopClean(s, { gone: [pidfile] });
});

test('SOCK-06 a socket path that is too long is a clear error', async (t) => {
  await refused(t, [`unix:/tmp/${'x'.repeat(120)}`], /107|too long/);
});
