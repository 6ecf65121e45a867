/** `daemon`: who starts it gets the shell back when the service is ready, or the reason why it is not. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CommandEnd, type CommandOptions, runCommand } from '../../../support/command.ts';
import { fixture, fixtureApp } from '../../../support/paths.ts';
import { childrenOf, isAlive } from '../../../support/proc.ts';
import { freePort, request } from '../../../support/request.ts';
import { until } from '../../../support/until.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-daemon-'));
  t.after(async () => {
    const path = join(dir, 'app.pid');
    if (existsSync(path)) {
      const pid = Number(readFileSync(path, 'utf8'));
      const pids = [pid, ...childrenOf(pid).map((child) => child.pid)];
      for (const each of pids) if (isAlive(each)) process.kill(each, 'SIGKILL');
    }
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** As a shell would run it: without what the tests have in their environment. */
function run(cwd: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandEnd> {
  const env = { NODE_TEST_CONTEXT: undefined, PORT: undefined, WEB_CONCURRENCY: undefined };
  return runCommand(args, { cwd, env, ...options });
}

describe('daemon', () => {
  it('comes back when the service is ready; it goes on in a session of its own, and its log in errorLog', async (t) => {
    const dir = folder(t);
    const port = await freePort();
    const args = [fixtureApp, '-D', '-b', `127.0.0.1:${port}`, '-w', '2', '-p', 'app.pid', '--error-log', 'error.log'];
    const { code, stdout, stderr } = await run(dir, args);
    assert.deepEqual([code, stderr], [0, '']);
    const pid = Number(/^prefork: ready, in the background with pid (\d+)\n$/.exec(stdout)?.[1]);
    assert.equal(readFileSync(join(dir, 'app.pid'), 'utf8'), `${pid}\n`);
    assert.equal((await request({ port }, '/healthz')).status, 200);
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
    assert.equal(session, String(pid));
    process.kill(pid, 'SIGHUP');
    const log = () => readFileSync(join(dir, 'error.log'), 'utf8');
    await until('the reload in the log', () => log().includes('"reload 1 done'), { within: 30_000 });
    assert.equal((await request({ port }, '/healthz')).status, 200);
    process.kill(pid, 'SIGTERM');
    await until('its end', () => !isAlive(pid), { within: 15_000 });
    assert.match(log(), /"msg":"stopped"/);
    assert.equal(existsSync(join(dir, 'app.pid')), false);
  });

  it('says why the service did not start, with its exit status', async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'throws.cjs'), 'throw new Error("no such database")');
    const thrown = await run(dir, ['throws.cjs', '-D', '-w', '1', '-p', 'app.pid']);
    assert.equal(thrown.code, 3);
    assert.match(thrown.stderr, /^prefork: .*no such database$/m);
    assert.match(thrown.stderr, /throws\.cjs:1/);
    const missing = await run(dir, ['missing.cjs', '-D']);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /^prefork: command line: app: .*missing\.cjs, which does not exist\n$/);
    const taken = await run(dir, [fixtureApp, '-D', '-b', '203.0.113.1:80']);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /^prefork: cannot bind 203\.0\.113\.1:80: .*\n$/);
    const nowhere = await run(dir, [fixtureApp, '-D', '--error-log', 'no/such/dir.log']);
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /^prefork: cannot open .*dir\.log.*\n$/);
    const lost = await run(dir, [fixtureApp, '-D', '-w', '1', '-p', 'no/such/app.pid']);
    assert.deepEqual([lost.code, lost.stdout], [1, '']);
    assert.match(lost.stderr, /^prefork: cannot write the pidfile .*app\.pid: ENOENT.*\n$/);
    assert.equal(existsSync(join(dir, 'app.pid')), false);
  });

  it('is not ready where its pidfile cannot be written when it is', async (t) => {
    const dir = folder(t);
    mkdirSync(join(dir, 'run'));
    writeFileSync(join(dir, 'moves.cjs'), 'require("fs").rmdirSync("run"); require("http").createServer().listen(0)');
    const { code, stdout, stderr } = await run(dir, [
      'moves.cjs',
      '-D',
      '-w',
      '1',
      '-p',
      'run/a.pid',
      '--control-socket',
      'none',
    ]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^prefork: cannot write the pidfile .*a\.pid: ENOENT/m);
  });

  it('an interrupt while it starts ends it', async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'slow.cjs'), 'setTimeout(() => require("http").createServer().listen(0), 60_000)');
    const { code, stdout } = await run(dir, ['slow.cjs', '-D', '-w', '1', '-p', 'app.pid'], { interruptAfter: 1_500 });
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(existsSync(join(dir, 'app.pid')), false);
  });

  it('the environment of its workers says nothing of it', async (t) => {
    const dir = folder(t);
    const port = await freePort();
    const app = fixture('privileges/app.cjs');
    assert.equal((await run(dir, [app, '-D', '-b', `127.0.0.1:${port}`, '-w', '1', '-p', 'app.pid'])).code, 0);
    const self = JSON.parse((await request({ port }, '/self')).body) as { env: Record<string, string> };
    assert.deepEqual(
      Object.keys(self.env).filter((name) => name.startsWith('PREFORK')),
      ['PREFORK_SLOT'],
    );
    const fds = JSON.parse((await request({ port }, '/fds')).body) as Record<string, string>;
    assert.equal(fds['1'], '/dev/null');
    const pid = Number(readFileSync(join(dir, 'app.pid'), 'utf8'));
    process.kill(pid, 'SIGTERM');
    await until('its end', () => !isAlive(pid), { within: 15_000 });
  });
});
