/** `prefork upgrade`, and what is started by it: the Node, the prefork and the release that are on the disk by then. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { startService as start, stopService as stop } from '../../../support/masters.ts';
import { fixtureApp, root } from '../../../support/paths.ts';
import { isAlive } from '../../../support/proc.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { until } from '../../../support/until.ts';

const timeout = stretched(120_000);

describe('prefork upgrade', { timeout }, () => {
  const run = (cwd: string, args: readonly string[]) => runCommand(args, { cwd });

  it('--wait ends when the new master serves, which is found from then on', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    for (let round = 0; round < 2; round += 1) {
      const old = masters.current();
      const { code, stdout, stderr } = await run(s.dir, ['upgrade', '--wait', '--pid', 'app.pid']);
      assert.deepEqual([code, stderr], [0, '']);
      const [, pid] = /^upgraded in \d+\.\d\d s, the master is now pid (\d+)\n$/.exec(stdout) ?? [];
      assert.equal(Number(pid), masters.pid(), stdout);
      const status = await run(s.dir, ['status', '--json', '--pid', 'app.pid']);
      assert.equal((JSON.parse(status.stdout) as { pid: number }).pid, Number(pid));
      await masters.replaced(old);
    }
    await stop(service);
  });

  it('fails with the reason, and is refused where one is under way', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    s.set('boot', 'throw');
    const failed = await run(s.dir, ['upgrade', '--wait', '--pid', 'app.pid']);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^prefork: upgrade failed, nothing was changed: .*this version cannot start/);
    const status = await run(s.dir, ['status', '--pid', 'app.pid']);
    assert.match(status.stdout, /last upgrade 1: failed: .*this version cannot start/);
    s.set('boot', 'slow:2000');
    assert.equal((await run(s.dir, ['upgrade', '--pid', 'app.pid'])).code, 0);
    const refused = await run(s.dir, ['upgrade', '--wait', '--pid', 'app.pid']);
    assert.deepEqual([refused.code, refused.stderr], [1, 'prefork: upgrade refused: one is under way\n']);
    assert.match(
      (await run(s.dir, ['status', '--pid', 'app.pid'])).stdout,
      /upgrade 2 under way: starting, new master \d+/,
    );
    await masters.replaced(s.pid);
    await stop(service, /giving up|failed|throw/);
  });

  it('of a daemon: the new master is one without being told, in a session of its own', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-upgrade-'));
    const pidOf = () => Number(readFileSync(join(dir, 'app.pid'), 'utf8'));
    const port = await freePort();
    const args = [fixtureApp, '-D', '-b', `127.0.0.1:${port}`, '-w', '2', '-p', 'app.pid', '--error-log', 'error.log'];
    assert.equal((await run(dir, args)).code, 0);
    t.after(() => {
      // Its workers see that, and go; it is found by its pidfile, which has to be there until then.
      if (existsSync(join(dir, 'app.pid')) && isAlive(pidOf())) process.kill(pidOf(), 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    });
    const old = pidOf();
    const upgraded = await run(dir, ['upgrade', '--wait', '--pid', 'app.pid']);
    assert.deepEqual([upgraded.code, upgraded.stderr], [0, '']);
    const now = pidOf();
    assert.notEqual(now, old);
    await until('the end of the old one', () => !isAlive(old));
    const stat = readFileSync(`/proc/${now}/stat`, 'utf8');
    assert.equal(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]), now, 'its own session');
    assert.equal((await request({ port }, '/healthz')).status, 200);
    assert.equal((await run(dir, ['stop', '--pid', 'app.pid'])).code, 0);
    assert.match(readFileSync(join(dir, 'error.log'), 'utf8'), /this master has taken over/);
  });
});

describe('what is on the disk', { timeout }, () => {
  it('a link to a release, and one to Node, are followed anew', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefork-upgrade-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = (...names: string[]) => join(folder, ...names);
    for (const release of ['r1', 'r2']) {
      mkdirSync(path(release));
      writeFileSync(path(release, 'app.cjs'), readFileSync(fixtureApp));
      symlinkSync(root, path(release, 'prefork'));
    }
    symlinkSync('r1', path('current'));
    const node = process.env.PREFORK_TEST_NODE ?? process.execPath;
    // A file of its own, as another version of Node would be.
    copyFileSync(node, path('node-2'));
    symlinkSync(node, path('node'));
    const service = await start(t, { app: 'app.cjs', cwd: path('current'), node: path('node') });
    const { s, masters } = service;
    const cwdOf = async () => (await requestJson(s.target, '/cwd')).cwd;
    assert.equal(await cwdOf(), path('r1'));
    unlinkSync(path('current'));
    symlinkSync('r2', path('current'));
    unlinkSync(path('node'));
    symlinkSync('node-2', path('node'));
    const now = await masters.upgrade();
    assert.equal(await cwdOf(), path('r2'));
    assert.equal(readlinkSync(`/proc/${now}/cwd`), path('r2'));
    assert.equal(readlinkSync(`/proc/${now}/exe`), path('node-2'));
    await stop(service);
  });

  it('prefork itself is started by the name it was started by, below a link too', (t) => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-upgrade-')));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = (...names: string[]) => join(folder, ...names);
    mkdirSync(path('r1'));
    symlinkSync('r1', path('current'));
    const module = JSON.stringify(join(root, 'dist/master/upgrade/own-command.js'));
    writeFileSync(
      path('r1', 'tell.mjs'),
      `const { ownCommand } = await import(${module}); console.log(JSON.stringify(ownCommand(process.env.PWD)));`,
    );
    symlinkSync(process.execPath, path('node'));
    symlinkSync('/bin/sh', path('sh'));
    const cwd = path('current');
    const commandOf = (file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
      JSON.parse(
        spawnSync(file, [...args], { cwd, env: { PATH: folder, PWD: cwd, ...env }, encoding: 'utf8' }).stdout,
      ) as Record<string, unknown>;
    assert.deepEqual(commandOf(path('node'), ['--no-warnings', 'tell.mjs', 'a b', '--', '$c']), {
      file: path('node'),
      args: ['--no-warnings', path('current', 'tell.mjs'), 'a b', '--', '$c'],
      cwd,
    });
    symlinkSync(process.execPath, path('r1', 'node'));
    assert.equal(commandOf(path('sh'), ['-c', 'exec ./node tell.mjs']).file, path('current', 'node'), 'as a path');
    assert.equal(commandOf(path('sh'), ['-c', 'exec node tell.mjs']).file, path('node'), 'as PATH has it');
    assert.equal(
      commandOf(path('sh'), ['-c', `exec ${process.execPath} tell.mjs`]).file,
      process.execPath,
      'where it was named',
    );
    // What PATH has under that name is another one.
    rmSync(path('node'));
    assert.equal(commandOf(process.execPath, ['tell.mjs'], { PATH: '/nowhere' }).file, process.execPath);
  });
});
