/** Catalogue group BOOT: the first start. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClean, stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { listeningOn } from '../../../support/proc.ts';
import { request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

/** Failed starts may say so in fatal lines. */
const fatal = /"level":60/;

const spawned = (supervisor: Supervisor) => supervisor.log.filter(({ msg }) => msg.startsWith('worker spawned')).length;

test('BOOT-01 "ready" is said when all workers are, the pidfile is there with the first', async (t) => {
  const s = await startSupervisor(t, { workers: 4, args: ['-p', 'app.pid'] });
  s.set('boot', 'slow:1500@2');
  const first = await s.waitForLog(/^worker ready/);
  await until('the pidfile', () => existsSync(join(s.dir, 'app.pid')));
  assert.equal(readFileSync(join(s.dir, 'app.pid'), 'utf8'), `${s.pid}\n`);
  const ready = await s.waitForLog(/^ready: 4 workers serve/);
  const workers = s.log.filter(({ msg }) => msg.startsWith('worker ready'));
  assert.equal(workers.length, 4);
  assert.ok(s.log.indexOf(ready) > s.log.indexOf(workers[3] ?? first), 'ready comes after the last worker');
  for (const line of workers) {
    for (const field of ['slot', 'worker', 'generation', 'pid']) assert.equal(typeof line[field], 'number', field);
  }
  await stopClean(s, { gone: [join(s.dir, 'app.pid')] });
});

test('BOOT-02 an app that throws at the first start: its error once, exit 3, nothing left', async (t) => {
  const s = await startSupervisor(t, { workers: 5, env: { BOOT: 'throw' }, args: ['-p', 'app.pid'] });
  const { code } = await s.waitExit(10_000);
  assert.equal(code, 3);
  assert.equal(s.stderr.text.split('app.cjs:').length > 1, true, 'the stack names the file');
  const full = s.log.filter((line) => JSON.stringify(line).includes('\\n    at '));
  assert.equal(full.length, 1, `the stack is printed once:\n${s.stderr.text}`);
  assert.ok(s.stderr.text.length < 64 * 1024);
  assert.ok(spawned(s) <= 5);
  await assertClean(s, { code: 3, allow: fatal, gone: [join(s.dir, 'app.pid')] });
});

for (const [file, status] of [
  ['syntax.mjs', 4],
  ['missing-module.mjs', 4],
  ['rejects.mjs', 3],
  ['throws.cjs', 3],
  ['exits.cjs', 3],
  ['ends.mjs', 3],
] as const) {
  test(`BOOT-02 ${file} exits ${status} and says why`, async (t) => {
    const s = await startSupervisor(t, { workers: 2, app: fixture(`broken/${file}`) });
    const { code } = await s.waitExit(10_000);
    assert.equal(code, status, s.describe());
    if (file === 'ends.mjs')
      assert.match(s.stderr.text, /ends\.mjs neither listens nor exports something to serve; it exports nothing/);
    if (file === 'syntax.mjs') assert.match(s.stderr.text, /"err":\{"type":"SyntaxError"/);
    await assertClean(s, { code: status, allow: /"level":60|^nothing to do/ });
  });
}

test('BOOT-02 a named export that is missing exits 4 and lists what there is', async (t) => {
  const s = await startSupervisor(t, { workers: 2, app: `${fixture('node/factory.mjs')}:createApi` });
  assert.equal((await s.waitExit(10_000)).code, 4, s.describe());
  assert.match(s.stderr.text, /createApi/);
  assert.match(s.stderr.text, /createApp/);
});

test('BOOT-03 a worker that hangs in boot is killed; the others serve meanwhile', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--boot-timeout', `${stretched(2_500)}ms`] });
  s.set('boot', 'hang@1');
  await s.waitServing();
  const line = await s.waitForLog(/boot timeout/);
  assert.equal(typeof line.slot, 'number');
  await s.waitForLog(/^ready: 2 workers/);
  await stopClean(s);
});

test('BOOT-03 BOOT-04 when every boot hangs or never listens, the start fails', async (t) => {
  for (const boot of ['hang', 'never-listen']) {
    const s = await startSupervisor(t, {
      workers: 2,
      env: { BOOT: boot },
      args: ['--boot-timeout', `${stretched(1_000)}ms`],
    });
    assert.equal((await s.waitExit(10_000)).code, 3, s.describe());
    assert.match(s.stderr.text, /did not listen within bootTimeout/);
    await assertClean(s, { code: 3, allow: fatal });
  }
});

test('BOOT-04 a worker that runs but does not listen is not ready', async (t) => {
  const s = await startSupervisor(t, { workers: 2 });
  s.set('boot', 'listen-late@2+');
  const first = await s.waitForLog(/^worker ready/);
  const second = await s.waitForLog(/^ready: 2 workers/);
  assert.ok(second.time - first.time > 500);
  await stopClean(s);
});

test('BOOT-05 TERM and INT at any moment of the boot leave nothing', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    for (const delay of [5, 30, 60, 100, 150, 200, 300, 450, 700, 1_000]) {
      const s = await startSupervisor(t, { workers: 3, args: ['-p', 'app.pid'] });
      s.set('boot', 'slow:150');
      await pause(delay);
      const { code, signal: by, ms } = await s.stop(signal);
      assert.ok(ms < stretched(3_000), `${signal} after ${delay} ms took ${ms} ms`);
      // Before any JavaScript runs the system's default applies.
      assert.ok(code === 0 || by === signal, `${signal} after ${delay} ms: ${code} ${by}\n${s.describe()}`);
      await until('no process left', () => s.processesLeft().length === 0, { within: 3_000 });
      assert.ok(!existsSync(join(s.dir, 'app.pid')));
      await until('the port to be free', () => listeningOn(s.port).length === 0, { within: 1_000 });
    }
  }
});

test('BOOT-06 a second instance is refused, the first is not touched', async (t) => {
  const socket = 'app.sock';
  const first = await startSupervisor(t, { workers: 1, args: ['-p', 'app.pid', '-b', `unix:${socket}`] });
  await first.waitForLog(/^ready/);
  const pidfile = join(first.dir, 'app.pid');
  const before = { pid: readFileSync(pidfile, 'utf8'), worker: (await requestJson(first.target, '/pid')).pid };

  const samePidfile = await startSupervisor(t, { workers: 1, args: ['-p', pidfile] });
  assert.equal((await samePidfile.waitExit()).code, 1);
  assert.match(samePidfile.stderr.text, new RegExp(`already running: .* pid ${first.pid}`));
  await assertClean(samePidfile, { code: 1, allow: fatal });

  const samePort = await startSupervisor(t, { workers: 1, bind: [`127.0.0.1:${first.port}`] });
  assert.equal((await samePort.waitExit(20_000)).code, 1);
  assert.match(samePort.stderr.text, /address in use/);
  assert.equal(samePort.log.filter(({ msg }) => msg.startsWith('worker spawned')).length, 0);

  const sameSocket = await startSupervisor(t, { workers: 1, bind: [`unix:${join(first.dir, socket)}`] });
  assert.equal((await sameSocket.waitExit(20_000)).code, 1);

  assert.equal(readFileSync(pidfile, 'utf8'), before.pid);
  assert.equal((await requestJson(first.target, '/pid')).pid, before.worker);
  assert.equal((await request({ socketPath: join(first.dir, socket) }, '/pid')).status, 200);
  await stopClean(first, { gone: [pidfile, join(first.dir, socket)] });
});

test('BOOT-06 two that start at the same moment: one serves, one is refused', async (t) => {
  const first = await startSupervisor(t, { workers: 1 });
  const second = await startSupervisor(t, { workers: 1, bind: [`127.0.0.1:${first.port}`] });
  await until('one of them to give up', () => first.exit ?? second.exit, { within: 20_000 });
  const [winner, loser] = first.exit === null ? [first, second] : [second, first];
  assert.equal(loser.exit?.code, 1, loser.describe());
  assert.equal((await request({ port: first.port }, '/healthz')).status, 200);
  assert.equal(winner.exit, null);
  assert.equal((await winner.stop()).code, 0);
});

test('BOOT-07 a release behind a symlink: HUP takes the new one, also when the old one is gone', async (t) => {
  const probe = await startSupervisor(t, { app: null, bind: null, args: ['--version'] });
  const dir = join(probe.dir, 'releases');
  const current = join(dir, 'current');
  for (const release of ['r1', 'r2']) {
    mkdirSync(join(dir, release), { recursive: true });
    writeFileSync(join(dir, release, 'app.cjs'), readFileSync(fixture('app.cjs')));
  }
  symlinkSync('r1', current);
  const s = await startSupervisor(t, { workers: 2, app: './app.cjs', cwd: current, env: { PWD: current } });
  await s.waitForLog(/^ready/);
  assert.equal((await requestJson(s.target, '/cwd')).cwd, join(dir, 'r1'));

  const switchTo = (release: string) => {
    symlinkSync(release, `${current}.new`);
    renameSync(`${current}.new`, current);
  };
  switchTo('r2');
  rmSync(join(dir, 'r1'), { recursive: true });
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 1 done/);
  assert.equal((await requestJson(s.target, '/cwd')).cwd, join(dir, 'r2'));

  switchTo('r3');
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 2 failed, nothing was changed/);
  assert.equal((await requestJson(s.target, '/cwd')).cwd, join(dir, 'r2'));
  await stopClean(s);
});

test('a connection that arrives while the first workers boot waits and is served', async (t) => {
  const s = await startSupervisor(t, { workers: 1, env: { BOOT: 'slow:1500' } });
  await until('the port to take connections', () => listeningOn(s.port).length > 0);
  assert.equal(s.log.filter(({ msg }) => msg.startsWith('worker ready')).length, 0);
  const answer = await request(s.target, '/pid');
  assert.equal(answer.status, 200);
  await stopClean(s);
});

test('an app that listens on an address in use fails as it would under node', async (t) => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  t.after(() => holder.close());
  const { port } = holder.address() as { port: number };
  const s = await startSupervisor(t, { workers: 1, bind: null, env: { PORT: String(port) } });
  const { code } = await s.waitExit(20_000);
  assert.ok(code === 3 || code === 1, s.describe());
  assert.match(s.stderr.text, /EADDRINUSE/);
});
