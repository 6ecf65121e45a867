/** Which release a generation is, what becomes of its files on disk, and when the release command runs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext, test } from 'node:test';
import type { Status } from '../../../src/protocol/status.ts';
import { runCommand } from '../../support/command.ts';
import { project, write } from '../../support/config-harness.ts';
import { stopClean } from '../../support/invariants.ts';
import { startService, stopService } from '../../support/masters.ts';
import { openNotifySocket, withoutNotify } from '../../support/notify-socket.ts';
import { isAlive, listeningOn } from '../../support/proc.ts';
import { freePort, request, requestJson } from '../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

/** Answers with the text of lib.cjs as its worker loaded it. */
const app = `const text = require('./lib.cjs');
require('node:http').createServer((request, response) => {
  if (request.url === '/die') process.exit(7);
  response.end(JSON.stringify({ text, pid: process.pid, cwd: process.cwd(), pwd: process.env.PWD }));
}).listen(0);
`;
const changed = /have changed on disk/;

function filesOf(text: string, version: string): Readonly<Record<string, string>> {
  return {
    'app.cjs': app,
    'lib.cjs': `module.exports = ${JSON.stringify(text)};`,
    'package.json': JSON.stringify({ name: 'shop', version }),
  };
}

/** Two releases, and a link to the first. */
function releases(t: TestContext): { readonly dir: string; readonly current: string; point(name: string): void } {
  const dir = project(t);
  for (const name of ['r1', 'r2']) {
    mkdirSync(join(dir, name));
    write(join(dir, name), filesOf(name, name === 'r1' ? '1.0.0' : '2.0.0'));
  }
  const current = join(dir, 'current');
  const point = (name: string): void => {
    symlinkSync(name, `${current}.new`);
    renameSync(`${current}.new`, current);
  };
  point('r1');
  return { dir, current, point };
}

async function statusOf(s: Supervisor): Promise<Status> {
  return (await requestJson({ socketPath: join(s.dir, 'app.ctl') }, '/status')) as unknown as Status;
}

async function textOf(s: Supervisor): Promise<{ text: string; pid: number; cwd: string; pwd: string }> {
  return (await requestJson(s.target, '/')) as { text: string; pid: number; cwd: string; pwd: string };
}

/** Has a worker crash, and waits for the one that follows. */
async function crash(s: Supervisor): Promise<void> {
  const since = s.log.length;
  await request(s.target, '/die').catch(() => {});
  await s.waitForLog(/^worker ready/, { since });
}

const pid = ['--pid', 'app.pid'];

describe('which release a generation is', () => {
  it('REL-01 path, version and commit: in the status, the log, top, the metrics and the health checks', async (t) => {
    const { dir, current, point } = releases(t);
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.org', ...args], {
        cwd: join(dir, 'r2'),
        encoding: 'utf8',
      }).trim();
    git('init', '-q');
    git('add', '-A');
    git('commit', '-q', '-m', 'x');
    const commit = git('rev-parse', 'HEAD').slice(0, 7);
    const port = await freePort();
    const args = [...pid, '--admin', `127.0.0.1:${port}`];
    const s = await startSupervisor(t, { app: join(current, 'app.cjs'), workers: 2, args });
    const ready = await s.waitForLog(/^ready: /);
    const first = join(dir, 'r1/app.cjs');
    const one = { path: first, version: '1.0.0', commit: null };
    assert.equal(ready.msg, `ready: 2 workers serve (1.0.0, ${first})`);
    assert.deepEqual(ready.release, one);
    assert.deepEqual((await statusOf(s)).releases, [{ generation: 1, ...one, changed: null, moved: null }]);

    point('r2');
    const done = await s.reload();
    const second = join(dir, 'r2/app.cjs');
    assert.ok(done.msg.endsWith(`: generation 2 serves (2.0.0, commit ${commit}, ${second})`), done.msg);
    const two = { generation: 2, path: second, version: '2.0.0', commit, changed: null, moved: null };
    await until('the first to be gone', async () => (await statusOf(s)).releases?.length === 1);
    assert.deepEqual((await statusOf(s)).releases, [two]);
    const text = await runCommand(['status', ...pid], { cwd: s.dir });
    assert.match(text.stdout, new RegExp(`generation 2: 2\\.0\\.0, commit ${commit}, ${second}\n`));
    const top = await runCommand(['top', '--once', ...pid], { cwd: s.dir });
    assert.ok(top.stdout.includes(`generation 2 (2.0.0, commit ${commit})`), top.stdout);
    const metrics = (await request({ port }, '/metrics')).body;
    assert.ok(
      metrics.includes(`prefork_release_info{generation="2",version="2.0.0",commit="${commit}",path="${second}"} 1`),
      metrics,
    );
    assert.equal((await requestJson({ port }, '/health/live')).version, '2.0.0');
    await stopClean(s);
  });

  it('REL-02 APP_VERSION says it before the package.json, and may be anything', async (t) => {
    const folder = project(t, filesOf('x', '1.0.0'));
    const APP_VERSION = `2.0 ${'"\\{}\u001b[31m'.repeat(20)}`;
    const s = await startSupervisor(t, { app: join(folder, 'app.cjs'), workers: 1, args: pid, env: { APP_VERSION } });
    await s.waitReady();
    assert.ok((await statusOf(s)).releases?.[0]?.version?.startsWith('2.0 "\\{}\u001b[31m'));
    const { stdout } = await runCommand(['status', ...pid], { cwd: s.dir });
    assert.match(stdout, /generation 1: 2\.0 /);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
    assert.doesNotMatch(stdout, /\u001b/);
    await stopClean(s);
  });
});

describe('a release that changes on disk', () => {
  it('REL-03 a worker that replaces a crashed one after an edit in place: said once for each change, and in the status', async (t) => {
    const folder = project(t, filesOf('before', '1.0.0'));
    const s = await startSupervisor(t, { app: join(folder, 'app.cjs'), workers: 2, args: pid });
    await s.waitReady();
    await crash(s);
    assert.deepEqual(
      s.log.filter(({ msg }) => changed.test(msg)),
      [],
      'nothing has changed yet',
    );
    write(folder, { 'lib.cjs': 'module.exports = "edited";' });
    // Whoever asks sees it before any worker meets it.
    await until('the status to say it', async () => (await statusOf(s)).releases?.[0]?.changed?.count === 1);
    assert.deepEqual((await statusOf(s)).releases?.[0]?.changed, { files: ['lib.cjs'], count: 1 });
    assert.deepEqual(
      s.log.filter(({ msg }) => changed.test(msg)),
      [],
    );

    await crash(s);
    const line = await s.waitForLog(changed);
    assert.equal(line.level, 40);
    assert.match(line.msg, /^a worker of generation 1 boots with files .* since that generation started: lib\.cjs; /);
    assert.deepEqual(line.files, ['lib.cjs']);
    await crash(s);
    await crash(s);
    assert.equal(s.log.filter(({ msg }) => changed.test(msg)).length, 1, 'once');
    write(folder, { 'lib.cjs': 'module.exports = "edited again";' });
    await crash(s);
    await until('the second change to be said', () => s.log.filter(({ msg }) => changed.test(msg)).length === 2);
    const { stdout } = await runCommand(['status', ...pid], { cwd: s.dir });
    assert.match(stdout, /generation 1: changed on disk since it started: lib\.cjs; /);

    // A reload brings it to all workers, and is where the next change counts from.
    await s.reload();
    await until('the first to be gone', async () => (await statusOf(s)).releases?.length === 1);
    assert.equal((await statusOf(s)).releases?.[0]?.changed, null);
    await crash(s);
    assert.equal(s.log.filter(({ msg }) => changed.test(msg)).length, 2);
    await stopClean(s, { allow: /exited unasked|changed on disk/ });
  });

  it('REL-03 a rollback after an edit in place says that the old code is gone', async (t) => {
    const folder = project(t, filesOf('before', '1.0.0'));
    const s = await startSupervisor(t, { app: join(folder, 'app.cjs'), workers: 2, args: pid });
    await s.waitReady();
    write(folder, {
      'lib.cjs': 'setTimeout(() => process.exit(1), 300); module.exports = "crashes";',
    });
    await s.reload();
    const line = await s.waitForLog(/^files of the previous release have changed on disk/, { within: 60_000 });
    assert.match(line.msg, /\(lib\.cjs\): what comes back is its configuration/);
    await s.stop('SIGINT');
  });

  it('REL-04 a link that points elsewhere: a generation boots from the release it began with until a reload', async (t) => {
    const { dir, current, point } = releases(t);
    // With a hook in the config of the release, and the link in the working directory.
    for (const name of ['r1', 'r2'])
      write(join(dir, name), {
        'supervisor.config.mjs': `console.log('hook of ${name}'); export default { metrics: true, routeLabel: () => '/x' };`,
      });
    const s = await startSupervisor(t, { app: 'app.cjs', cwd: current, workers: 2, args: ['--pid', `${dir}/app.pid`] });
    await s.waitReady();
    const status = async (): Promise<Status> =>
      (await requestJson({ socketPath: join(dir, 'app.ctl') }, '/status')) as unknown as Status;
    assert.equal((await status()).releases?.[0]?.moved, null);
    point('r2');
    await until('the status to say it', async () => (await status()).releases?.[0]?.moved === join(dir, 'r2/app.cjs'));
    await crash(s);
    await s.waitForLog(
      /^a worker of generation 1 boots from .*r1\/app\.cjs, as its generation does; the link points to /,
    );
    for (let index = 0; index < 8; index += 1) {
      const { text, cwd, pwd } = await textOf(s);
      assert.deepEqual({ text, cwd, pwd }, { text: 'r1', cwd: join(dir, 'r1'), pwd: join(dir, 'r1') });
    }
    // What a worker prints is its own; what the configuration prints when the master reads it is in the log.
    await until('the hooks of the workers', () => (s.stdout.text.match(/^hook of r1/gm) ?? []).length >= 3);
    assert.doesNotMatch(s.stdout.text, /hook of r2/);
    await s.reload();
    assert.equal((await textOf(s)).text, 'r2');
    await until('the new hooks', () => /^hook of r2/m.test(s.stdout.text));
    assert.equal((await status()).releases?.[0]?.moved, null);
    await stopClean(s, { allow: /exited unasked/ });
  });
});

/** Writes when it begins and ends, and takes a while. */
function tracing(file: string, seconds: number, status = 0): string {
  return `echo begin $$ >> ${file}; sleep ${seconds}; echo end $$ >> ${file}; exit ${status}`;
}

function traceIn(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

describe('the release command of a start', () => {
  it('REL-05 runs before the service binds and starts a worker, and only where releaseOn says so', async (t) => {
    const trace = join(project(t), 'trace');
    const s = await startSupervisor(t, { workers: 1, args: ['--release', tracing(trace, 1), '--release-on', 'start'] });
    await until('it to begin', () => traceIn(trace).length === 1);
    assert.deepEqual(listeningOn(s.port), [], 'nothing listens meanwhile');
    await s.waitReady(30_000);
    assert.equal(traceIn(trace).length, 2);
    assert.match((await s.waitForLog(/^release command done/)).msg, /^release command done in [12]\.\d\d s$/);
    await s.reload();
    assert.equal(traceIn(trace).length, 2, 'a reload does not run it');
    await stopClean(s);

    const other = await startSupervisor(t, { workers: 1, args: ['--release', tracing(trace, 0)] });
    await other.waitReady();
    assert.equal(traceIn(trace).length, 2, 'without releaseOn a start does not run it');
    await other.reload();
    assert.equal(traceIn(trace).length, 4);
    await stopClean(other);
  });

  it('REL-05 gives the service manager a reason to wait longer', { skip: withoutNotify() }, async (t) => {
    const manager = await openNotifySocket(t);
    const args = ['--release', 'sleep 1', '--release-on', 'start'];
    const s = await startSupervisor(t, { workers: 1, args, env: { NOTIFY_SOCKET: manager.path } });
    await manager.assignment(/^EXTEND_TIMEOUT_USEC=30000000$/);
    await manager.assignment(/^READY=1$/);
    const said = manager.assignments();
    assert.ok(said.indexOf('EXTEND_TIMEOUT_USEC=30000000') < said.indexOf('READY=1'), said.join(' '));
    await stopClean(s);
  });

  it('REL-06 fails: no worker is started, one line says why', async (t) => {
    const s = await startSupervisor(t, {
      workers: 1,
      args: ['--release', 'echo no table; exit 9', '--release-on', 'all'],
    });
    const { code } = await s.waitExit();
    assert.equal(code, 1);
    const fatal = s.log.filter(({ level }) => Number(level) >= 50);
    assert.deepEqual(
      fatal.map(({ msg }) => msg),
      ['release command "echo no table; exit 9" failed with code 9'],
    );
    assert.ok(s.log.some(({ msg }) => msg === 'release: no table'));
    assert.equal(
      s.log.some(({ msg }) => msg.startsWith('worker')),
      false,
    );
  });

  it('REL-07 TERM ends it, also what does not want to, and the start', async (t) => {
    for (const [command, how] of [
      ['echo there; exec sleep 600', 'it is asked'],
      ["trap '' TERM; echo there; sleep 600 & sleep 600", 'it is killed'],
    ] as const) {
      const s = await startSupervisor(t, { workers: 1, args: ['--release', command, '--release-on', 'start'] });
      await s.waitForLog(/^release: there/);
      const { code } = await s.stop('SIGTERM', 30_000);
      assert.equal(code, 0, `${how}: ${s.describe()}`);
      await until('no process to be left', () => s.processesLeft().length === 0);
      assert.deepEqual(
        s.log.filter(({ level }) => Number(level) >= 50),
        [],
      );
    }
  });

  it('REL-08 is not run if another service has the address', async (t) => {
    const first = await (await startSupervisor(t, { workers: 1 })).waitReady();
    const trace = join(project(t), 'trace');
    const args = ['--release', tracing(trace, 0), '--release-on', 'start', '-b', `127.0.0.1:${first.port}`];
    const s = await startSupervisor(t, { workers: 1, bind: null, args });
    assert.equal((await s.waitExit(30_000)).code, 1);
    assert.match(s.stderr.text, /in use/);
    assert.deepEqual(traceIn(trace), []);
    await stopClean(first);
  });

  it('REL-09 in the background the caller waits for it, and hears why it failed', async (t) => {
    const folder = project(t);
    const end = await runCommand(
      ['app.cjs', '-D', '--release', 'sleep 0.5; exit 4', '--release-on', 'start', '-b', '0'],
      {
        cwd: folder,
      },
    );
    assert.notEqual(end.code, 0);
    assert.match(end.stderr, /release command "sleep 0\.5; exit 4" failed with code 4/);
  });
});

describe('one release command at a time', () => {
  it('REL-10 two services of a release that start together: one waits for the other', async (t) => {
    const folder = project(t, filesOf('x', '1.0.0'));
    const trace = join(folder, 'trace');
    const args = ['--release', tracing(trace, 1), '--release-on', 'start'];
    const start = (): Promise<Supervisor> => startSupervisor(t, { app: join(folder, 'app.cjs'), workers: 1, args });
    const services = await Promise.all([start(), start(), start()]);
    await Promise.all(services.map((s) => s.waitReady(60_000)));
    const steps = traceIn(trace);
    assert.equal(steps.length, 6);
    for (let index = 0; index < 6; index += 2)
      assert.deepEqual(steps[index + 1], steps[index]?.replace('begin', 'end'), `they overlap: ${steps.join(', ')}`);
    assert.ok(services.some((s) => s.log.some(({ msg }) => msg.startsWith('the release command waits: '))));
    for (const s of services) await stopClean(s);
  });

  it('REL-11 a master that is killed leaves no lock behind, but its command is waited for', async (t) => {
    const folder = project(t, filesOf('x', '1.0.0'));
    const trace = join(folder, 'trace');
    const options = (seconds: number) => ({
      app: join(folder, 'app.cjs'),
      workers: 1,
      args: ['--release', tracing(trace, seconds), '--release-on', 'start'],
    });
    const first = await startSupervisor(t, options(3));
    await until('it to begin', () => traceIn(trace).length === 1);
    first.signal('SIGKILL');
    await first.waitExit();
    const second = await startSupervisor(t, options(0));
    await second.waitReady(60_000);
    const [begin = '', end, ...others] = traceIn(trace);
    assert.equal(end, begin.replace('begin', 'end'));
    assert.equal(others.length, 2);
    await stopClean(second);
  });
});

test('REL-12 a stop during the release command of an upgrade ends the new master, and the command', async (t) => {
  const args = ['--release', 'echo there; exec sleep 600', '--release-on', 'upgrade'];
  const service = await startService(t, { args });
  service.masters.signal('SIGUSR2');
  await service.masters.waitForLine(/^release: there/);
  await stopService(service, /upgrade 1 failed/);
});

test('REL-12 an upgrade runs it where releaseOn says so; if it fails the old master serves on', async (t) => {
  const folder = project(t);
  const trace = join(folder, 'trace');
  const status = join(folder, 'status');
  writeFileSync(status, '0');
  const release = `echo ran >> ${trace}; exit $(cat ${status})`;
  const service = await startService(t, { args: ['--release', release, '--release-on', 'upgrade'] });
  const { masters } = service;
  assert.deepEqual(traceIn(trace), []);
  const second = await masters.upgrade();
  assert.deepEqual(traceIn(trace), ['ran']);
  writeFileSync(status, '5');
  masters.signal('SIGUSR2');
  await masters.waitForLine(/^upgrade 1 failed, nothing was changed: .*failed with code 5/);
  assert.equal(masters.current(), second);
  assert.deepEqual(traceIn(trace), ['ran', 'ran']);
  assert.ok(isAlive(second));
  assert.equal((await request(service.s.target, '/healthz')).status, 200);
  await stopService(service, /release command|upgrade 1 failed/);
});
