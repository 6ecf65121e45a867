/** Which source wins, what the app finds in its environment, and where the app is. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { load, onlyProblem, problemsOf, project, write } from '../../support/config-harness.ts';

const file = 'supervisor.config.mjs';

describe('the order of the sources', () => {
  it('is defaults < environment < file < PREFORK_CMD_ARGS < command line', async (t) => {
    const cwd = project(t);
    const app = 'app.cjs';
    const workers = async (given: Parameters<typeof load>[1]) => (await load(cwd, given)).workers;
    assert.equal(await workers({}), 2 * availableParallelism() + 1);
    const env = { WEB_CONCURRENCY: '11' };
    assert.equal(await workers({ env }), 11);
    write(cwd, { [file]: 'export default { workers: 12 }' });
    assert.equal(await workers({ env }), 12);
    const cmdArgs = { workers: '13' };
    assert.equal(await workers({ env, cmdArgs }), 13);
    assert.equal(await workers({ env, cmdArgs, flags: { app, workers: '14' } }), 14);
  });

  it('takes an empty variable, and undefined or null in the file, as not given', async (t) => {
    const cwd = project(t, { [file]: 'export default { workers: undefined, timeout: null }' });
    const settings = await load(cwd, { env: { WEB_CONCURRENCY: '' } });
    assert.deepEqual([settings.workers, settings.timeout], [2 * availableParallelism() + 1, 30_000]);
  });

  it('reports the problems of all of them, in that order', async (t) => {
    const cwd = project(t, { [file]: 'export default { workers: "x", timeout: "y" }' });
    const flags = { app: 'app.cjs', backlog: 'z' };
    const problems = await problemsOf(cwd, { env: { WEB_CONCURRENCY: 'w' }, cmdArgs: { timeout: 'v' }, flags });
    assert.deepEqual(
      problems.map(({ source, setting }) => `${source.replace(cwd, '')} ${setting}`),
      [
        'environment variable WEB_CONCURRENCY workers',
        `/${file} workers`,
        `/${file} timeout`,
        'PREFORK_CMD_ARGS timeout',
        'command line backlog',
      ],
    );
  });

  it('does not complain twice of one mistake', async (t) => {
    const cwd = project(t);
    assert.match(await onlyProblem(cwd, { flags: { app: 'app.cjs', workers: 'x', maxWorkers: '1' } }), /: workers: /);
    assert.match(await onlyProblem(cwd, { flags: { app: 'app.cjs', chdir: 'nowhere' } }), /: chdir: /);
    assert.match(await onlyProblem(cwd, { flags: { app: '' } }), /: app: expected a string that is not empty/);
  });

  it('reads a range of workers, from a file and from the command line', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'export default { workers: { min: 2, max: 9 } }' });
    const { workers, autoscale, maxWorkers } = await load(cwd, { flags: { app: 'app.cjs' } });
    assert.deepEqual([workers, autoscale, maxWorkers >= 9], [2, { min: 2, max: 9 }, true]);
    const given = await load(cwd, { flags: { app: 'app.cjs', workers: '3-4' } });
    assert.deepEqual(given.autoscale, { min: 3, max: 4 });
    assert.equal((await load(cwd, { flags: { app: 'app.cjs', workers: '3' } })).autoscale, null);
    const flags = { app: 'app.cjs', maxWorkers: '5' };
    assert.match(await onlyProblem(cwd, { flags }), /maxWorkers: expected at least workers \(9\), got 5$/);
  });

  it('has no worker count that cannot be scaled, nor a ceiling below it', async (t) => {
    const cwd = project(t);
    const ceiling = async (workers: string) => (await load(cwd, { flags: { app: 'app.cjs', workers } })).maxWorkers;
    assert.equal(await ceiling('1'), Math.max(2, 4 * availableParallelism()));
    assert.equal(await ceiling('100'), 200);
    assert.equal(await ceiling('1024'), 1024);
    assert.equal(
      (await load(cwd, { flags: { app: 'app.cjs', workers: 'auto' } })).workers,
      2 * availableParallelism() + 1,
    );
  });
});

describe("the app's environment", () => {
  it('CFG-05 is that of the master and the env of this load, not of one before', async (t) => {
    const cwd = project(t, { [file]: "export default { env: { A: 'config', B: 1, C: true } }" });
    const env = { A: 'master', KEPT: 'yes' };
    const before = { ...process.env };
    const first = await load(cwd, { env });
    assert.deepEqual([first.env.A, first.env.B, first.env.C, first.env.KEPT], ['config', '1', 'true', 'yes']);
    write(cwd, { [file]: 'export default {}' });
    const second = await load(cwd, { env });
    assert.deepEqual(
      [second.env.A, second.env.B, second.env.C, second.env.KEPT],
      ['master', undefined, undefined, 'yes'],
    );
    assert.deepEqual(env, { A: 'master', KEPT: 'yes' });
    assert.deepEqual({ ...process.env }, before);
  });

  it('adds up over the sources, name by name', async (t) => {
    const cwd = project(t, { [file]: "export default { env: { A: 'file', B: 'file' } }" });
    const { env } = await load(cwd, { flags: { app: 'app.cjs', env: ['A=flag', 'C=x=y', 'D='] } });
    assert.deepEqual([env.A, env.B, env.C, env.D], ['flag', 'file', 'x=y', '']);
  });

  it("has none of the master's own variables", async (t) => {
    const own = ['PREFORK_CMD_ARGS', 'PREFORK_X', 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET'];
    own.push('WATCHDOG_USEC', 'WATCHDOG_PID', 'NODE_UNIQUE_ID', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE');
    const near = ['LISTEN_FDS_X', 'XPREFORK_A', 'WATCHDOG', 'NODE_ENV'];
    const env = Object.fromEntries([...own, ...near].map((name) => [name, '1']));
    const settings = await load(project(t), { env });
    assert.deepEqual(
      own.filter((name) => name in settings.env),
      [],
    );
    assert.deepEqual(
      near.filter((name) => !(name in settings.env)),
      [],
    );
  });

  it('has PORT as the service is bound', async (t) => {
    const cwd = project(t);
    const port = async (bind: string[], env: Record<string, string> = {}) =>
      (await load(cwd, { env, flags: { app: 'app.cjs', ...(bind.length > 0 ? { bind } : {}) } })).env.PORT;
    assert.equal(await port([]), undefined);
    assert.equal(await port([], { PORT: '5000' }), '5000');
    assert.equal(await port(['127.0.0.1:8000'], { PORT: '5000' }), '8000');
    assert.equal(await port(['unix:/a', '[::1]:81', ':82']), '81');
    assert.equal(await port(['unix:/a'], { PORT: '5000' }), '5000');
    assert.equal(process.env.PORT === '8000', false);
  });

  it('an exported handler is served on 0.0.0.0:$PORT, else on 127.0.0.1:8000', async (t) => {
    const cwd = project(t);
    const local = { kind: 'tcp', host: '127.0.0.1', port: 8000 };
    assert.deepEqual((await load(cwd)).defaultBind, local);
    const set = await load(cwd, { env: { PORT: '5000' } });
    assert.deepEqual(set.defaultBind, { kind: 'tcp', host: '0.0.0.0', port: 5000 });
    assert.deepEqual(set.bind, []);
    // Some platforms hand over a pipe's name in it, which is the app's to understand.
    for (const PORT of ['\\\\.\\pipe\\x', '70000', '-1', '']) {
      assert.deepEqual((await load(cwd, { env: { PORT } })).defaultBind, local, PORT);
    }
  });
});

describe('where the app is', () => {
  const find = async (cwd: string, app: string) => {
    const { path, exportName, given } = (await load(cwd, { flags: { app } })).app;
    assert.equal(given, app);
    return `${path.replace(cwd, '')}${exportName === null ? '' : `#${exportName}`}`;
  };

  it('is a file, with its extension or without', async (t) => {
    const cwd = project(t, { 'a.js': '', 'a.ts': '', 'b.mts': '', 'src/c.cjs': '' });
    assert.equal(await find(cwd, './a.js'), '/a.js');
    assert.equal(await find(cwd, 'a.ts'), '/a.ts');
    assert.equal(await find(cwd, './a'), '/a.js');
    assert.equal(await find(cwd, 'b'), '/b.mts');
    assert.equal(await find(cwd, `${cwd}/src/c`), '/src/c.cjs');
  });

  it('is a folder: what its package.json names, else its index file', async (t) => {
    const cwd = project(t, {
      'one/package.json': '{ "main": "./lib/server" }',
      'one/lib/server.js': '',
      'one/index.js': '',
      'two/index.mjs': '',
      'three/package.json': '{ "main": "./gone.js" }',
      'three/index.ts': '',
      'four/package.json': 'not json',
      'five/package.json': '{ "main": "." }',
    });
    assert.equal(await find(cwd, './one'), '/one/lib/server.js');
    assert.equal(await find(cwd, 'two'), '/two/index.mjs');
    assert.equal(await find(cwd, 'three/'), '/three/index.ts');
    for (const app of ['four', 'five']) {
      assert.match(
        await onlyProblem(cwd, { flags: { app } }),
        /which is a directory without an index file and without/,
      );
    }
  });

  it('may have an export named after the last colon', async (t) => {
    const cwd = project(t, { 'a.js': '', 'b:c.js': '', 'd:e': '' });
    assert.equal(await find(cwd, './a.js:createApp'), '/a.js#createApp');
    assert.equal(await find(cwd, 'a:$app_1'), '/a.js#$app_1');
    assert.equal(await find(cwd, 'b:c.js'), '/b:c.js');
    assert.equal(await find(cwd, 'b:c.js:app'), '/b:c.js#app');
    assert.equal(await find(cwd, 'd:e'), '/d:e');
    for (const app of ['a.js:', 'a.js:not-a-name', 'a.js:1', ':a']) {
      assert.match(await onlyProblem(cwd, { flags: { app } }), /: app: expected the file of the app, got /, app);
    }
  });

  it('is meant from chdir, and chdir from the working directory', async (t) => {
    const cwd = project(t, { 'sub/server.js': '', [file]: "export default { chdir: './sub', app: './server.js' }" });
    const settings = await load(cwd, { flags: {} });
    assert.deepEqual(
      [settings.app.path, settings.chdir, settings.name],
      [`${cwd}/sub/server.js`, `${cwd}/sub`, 'server'],
    );
  });

  it('RLD a release behind a link is looked up anew by every load', async (t) => {
    const cwd = project(t, { 'releases/1/server.js': '', 'releases/2/server.js': '' });
    const current = join(cwd, 'current');
    const point = (release: string) => symlinkSync(join(cwd, 'releases', release), current);
    const read = async () => {
      const { app, chdir } = await load(current, { flags: { app: './server.js' } });
      return [app.path.replace(cwd, ''), chdir.replace(cwd, '')];
    };
    point('1');
    assert.deepEqual(await read(), ['/releases/1/server.js', '/releases/1']);
    unlinkSync(current);
    point('2');
    assert.deepEqual(await read(), ['/releases/2/server.js', '/releases/2']);
    rmSync(join(cwd, 'releases/2'), { recursive: true });
    const problem = await onlyProblem(current, { flags: { app: './server.js' } });
    assert.match(problem, /chdir: expected a directory that exists, got <folder>$/);
    mkdirSync(join(cwd, 'releases/2'));
    assert.match(await onlyProblem(current, { flags: { app: './server.js' } }), /: app: .*which does not exist$/);
  });

  it('is pinned to what a link leads to, where the link is in its own path', async (t) => {
    const cwd = project(t, { 'releases/1/server.js': '', 'releases/2/server.js': '' });
    const current = join(cwd, 'current');
    symlinkSync('releases/1', current);
    assert.equal(await find(cwd, './current/server.js'), '/releases/1/server.js');
    unlinkSync(current);
    symlinkSync('releases/2', current);
    assert.equal(await find(cwd, './current/server'), '/releases/2/server.js');
  });

  it('is proposed, not guessed, where none is given', async (t) => {
    const hint = async (text: string) => {
      const cwd = project(t, { 'package.json': text, 'dist/main.js': '', 'server.js': '' });
      return /as in: (.*)$/.exec(await onlyProblem(cwd, { flags: {} }))?.[1];
    };
    assert.equal(await hint('{ "main": "dist/main.js" }'), 'prefork ./dist/main.js');
    assert.equal(await hint('{ "scripts": { "start": "node dist/main.js --x" } }'), 'prefork ./dist/main.js');
    assert.equal(await hint('{ "scripts": { "start": "next start" }, "main": 7 }'), 'prefork ./server.js');
    assert.equal(await hint('[]'), 'prefork ./server.js');
    assert.equal(await hint('{ "main": "gone.js" }'), 'prefork ./server.js');
  });

  it('gives the name and what it is told', async (t) => {
    const cwd = project(t);
    assert.equal((await load(cwd)).name, 'app');
    const flags = { app: 'app.cjs', name: 'shop', args: ['--x', 'y'], pidfile: 'run/a.pid' };
    const settings = await load(cwd, { flags });
    assert.deepEqual([settings.name, settings.args, settings.pidfile], ['shop', ['--x', 'y'], `${cwd}/run/a.pid`]);
  });
});
