/**
 * Catalogue group BAD and gate G3: a deploy that is no good hurts nobody. Each reload here brings something that does
 * not work, under load; what is counted is what the clients and the old workers noticed of it.
 */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { stopClean } from '../../support/invariants.ts';
import { type Load, startLoad } from '../../support/load/child.ts';
import { type Group, type Report, table, total } from '../../support/load/mix.ts';
import type { LogLine } from '../../support/log-reader.ts';
import { fixtureApp } from '../../support/paths.ts';
import { listeningOn } from '../../support/proc.ts';
import { freePort, requestJson, type Target } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { readyOverTime } from '../../support/story.ts';
import { type Supervisor, startSupervisor, writeConfig } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

/** All the time while deploys fail; not so busy that nothing else gets to run. */
const clients: readonly Group[] = [
  { kind: 'busy', clients: 2, think: 10 },
  { kind: 'idle', clients: 6 },
  { kind: 'fresh', clients: 2, think: 20 },
  { kind: 'slow', clients: 2 },
];

async function startClients(t: TestContext, target: Target): Promise<Load> {
  const load = startLoad(t, { target, groups: clients });
  await load.answered(30);
  return load;
}

/** Every request was answered, by these versions and nobody else. */
function assertNothingLost(report: Report, versions: readonly string[]): void {
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, `requests were lost:\n${table(report)}`);
  assert.ok(all.answered > 60, `there was hardly any load:\n${table(report)}`);
  assert.deepEqual([...all.versions.keys()].sort(), [...versions].sort(), 'versions that answered');
}

/** A folder that is there before the supervisor, and gone after the test. */
function folder(t: TestContext): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-test-bad-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const sorted = (pids: readonly number[]): number[] => [...pids].sort((a, b) => a - b);

const spawns = (lines: readonly LogLine[]): number => lines.filter(({ msg }) => msg === 'worker spawned').length;

/** A reload that must be refused without a trace; gives its line. */
async function assertRejected(s: Supervisor, old: readonly number[], what: string): Promise<LogLine> {
  const since = s.log.length;
  const line = await s.reload();
  assert.match(line.msg, /^reload \d+ failed, nothing was changed: ./, `${what}\n${s.describe()}`);
  assert.equal(line.level, 50, what);
  assert.deepEqual(sorted(await s.waitWorkers(old.length)), sorted(old), `${what}: the old workers`);
  const forks = spawns(s.log.slice(since));
  assert.ok(forks <= 3, `${what}: ${forks} forks`);
  return line;
}

/** What a new version does instead of serving, and what the log says of it. */
const misbehaviours: readonly (readonly [boot: string, said: RegExp])[] = [
  ['throw', /this version cannot start/],
  ['exit0', /code 0/],
  ['exit3', /code 3/],
  ['exit4', /code 4/],
  ['kill', /SIGKILL/],
  ['hang', /not ready within bootTimeout/],
  ['never-listen', /not ready within bootTimeout/],
];

// At once: most of their time is spent waiting for boot timeouts.
describe('a reload that brings a broken app', { concurrency: 3 }, () => {
  for (const workers of [1, 2, 5]) {
    it(`BAD-01 BAD-02 BAD-03 G3: with ${workers} workers, nobody notices, whatever the app does`, async (t) => {
      const s = await startSupervisor(t, { workers, args: ['--boot-timeout', `${stretched(7_000)}ms`] });
      s.set('version', 'v0');
      await s.waitReady(30_000);
      const old = await s.waitWorkers(workers);
      const load = await startClients(t, s.target);
      s.set('version', 'broken');
      for (const [boot, said] of misbehaviours) {
        s.set('boot', boot);
        const { msg } = await assertRejected(s, old, boot);
        assert.match(msg, said, boot);
      }
      await load.further(20);
      s.set('boot', 'ok');
      s.set('version', 'good');
      const since = s.log.length;
      const done = await s.reload();
      assert.match(done.msg, new RegExp(`^reload ${misbehaviours.length + 1} done`), s.describe());
      assert.equal(spawns(s.log.slice(since)), workers, 'forks of the good reload');
      const fresh = await s.waitWorkers(workers);
      assert.ok(fresh.every((pid) => !old.includes(pid)));
      await load.heardFrom(fresh);
      const report = await load.stop();
      assertNothingLost(report, ['v0', 'good']);
      t.diagnostic(`\n${table(report)}`);
      await stopClean(s);
    });
  }
});

describe('a reload that fails late', { concurrency: 3 }, () => {
  it('BAD-04: an app that dies 200 ms after it was ready does not pass minReadySeconds', async (t) => {
    const s = await startSupervisor(t, { workers: 2, config: { minReadySeconds: 1 } });
    s.set('version', 'v0');
    await s.waitReady(30_000);
    const old = await s.waitWorkers(2);
    const load = await startClients(t, s.target);
    s.set('boot', 'die-after-200');
    const since = s.log.length;
    await assertRejected(s, old, 'die-after-200');
    assert.ok(s.log.slice(since).some(({ msg }) => msg.startsWith('worker ready')));
    s.set('boot', 'ok');
    assert.match((await s.reload()).msg, /^reload 2 done/);
    await load.further(20);
    const all = total(await load.stop());
    // Those that it accepted in its 200 ms go down with it; nobody else does.
    assert.equal(all.failed, all.resets);
    assert.equal(all.answered + all.failed, all.sent);
    assert.ok(all.failed <= 12, `${all.failed} failed`);
    await stopClean(s);
  });

  it('BAD-05: when a later worker will not boot, the rollout stops half way, at full strength', async (t) => {
    const workers = 4;
    const s = await startSupervisor(t, { workers });
    s.set('version', 'v0');
    await s.waitReady(30_000);
    const old = await s.waitWorkers(workers);
    const load = await startClients(t, s.target);
    s.set('boot', 'throw@3+');
    s.set('version', 'v1');
    const since = s.log.length;
    const line = await s.reload();
    assert.match(line.msg, /^reload 1 stopped half way, the remaining old workers stay: .*failed to boot/);
    assert.equal(line.level, 50);
    const mixed = await s.waitWorkers(workers);
    assert.equal(mixed.filter((pid) => old.includes(pid)).length, 2, 'old workers that stayed');
    const forks = spawns(s.log.slice(since));
    // Those that are replaced, the three that failed, and at most one more that was on its way.
    assert.ok(forks >= 5 && forks <= 6, `${forks} forks`);
    await load.heardFrom(mixed);

    s.set('boot', 'ok');
    s.set('version', 'v2');
    assert.match((await s.reload()).msg, /^reload 2 done/);
    const fresh = await s.waitWorkers(workers);
    assert.ok(fresh.every((pid) => !mixed.includes(pid)));
    await load.heardFrom(fresh);
    await load.further(70);
    assertNothingLost(await load.stop(), ['v0', 'v1', 'v2']);
    const story = readyOverTime(s.log);
    const full = story.findIndex(({ ready }) => ready === workers);
    const least = Math.min(...story.slice(full).map(({ ready }) => ready));
    assert.equal(least, workers, `only ${least} workers were ready`);
    await stopClean(s);
  });

  it('BAD-04: an app that dies 200 ms after ready does not eat up the old workers: it is rolled back', async (t) => {
    const workers = 4;
    const s = await startSupervisor(t, { workers });
    s.set('version', 'v0');
    await s.waitReady(30_000);
    const old = await s.waitWorkers(workers);
    const load = await startClients(t, s.target);
    s.set('boot', 'die-after-200');
    s.set('version', 'v1');
    const halted = await s.reload();
    assert.match(halted.msg, /^reload 1 stopped half way, the remaining old workers stay: /, s.describe());
    const left = old.filter((pid) => s.workers().includes(pid));
    assert.ok(left.length >= 1, 'no old worker is left');
    await s.waitForLog(/^rolling back to the previous release/);
    s.set('boot', 'ok');
    s.set('version', 'v0');
    await s.waitForLog(/^reload 2 done/, { within: 30_000 });
    await load.heardFrom(await s.waitWorkers(workers));
    const all = total(await load.stop());
    all.assertComplete();
    // What was inside the new workers as they died; there was always somebody to take a connection.
    assert.equal(all.failed, all.resets, all.details.join('\n'));
    assert.ok(spawns(s.log) <= workers * 2 + 12, `${spawns(s.log)} forks`);
    await stopClean(s);
  });

  it('BAD-06: a config that is gone or half written, an app that is gone: refused, the old ones serve', async (t) => {
    const app = join(folder(t), 'app.cjs');
    copyFileSync(fixtureApp, app);
    const s = await startSupervisor(t, { app, config: { workers: 2 } });
    s.set('version', 'v0');
    await s.waitReady(30_000);
    const old = await s.waitWorkers(2);
    const load = await startClients(t, s.target);
    s.set('version', 'v1');

    const config = join(s.dir, 'supervisor.config.mjs');
    const text = readFileSync(config, 'utf8');
    rmSync(config);
    assert.match((await assertRejected(s, old, 'no config')).msg, /supervisor\.config\.mjs.* does not exist/);
    writeFileSync(config, text.slice(0, -6));
    assert.match((await assertRejected(s, old, 'half a config')).msg, /supervisor\.config\.mjs/);
    writeFileSync(config, text);
    rmSync(app);
    assert.match((await assertRejected(s, old, 'no app')).msg, /app\.cjs/);
    copyFileSync(fixtureApp, app);

    assert.match((await s.reload()).msg, /^reload 4 done/);
    await load.heardFrom(await s.waitWorkers(2));
    await load.further(70);
    assertNothingLost(await load.stop(), ['v0', 'v1']);
    await stopClean(s);
  });
});

describe('the release command', { concurrency: 2 }, () => {
  it('runs once per reload, before any new worker; its output is in the log, its failure refuses the reload', async (t) => {
    const s = await startSupervisor(t, {
      config: { workers: 2, release: 'echo migrating; echo "to stderr" >&2; echo run >> runs' },
    });
    const record = join(s.dir, 'runs');
    const runs = (): number => readFileSync(record, 'utf8').split('\n').length - 1;
    s.set('version', 'v0');
    await s.waitReady(30_000);
    assert.ok(!existsSync(record), 'it ran at the start, without a reload');
    const load = await startClients(t, s.target);

    s.set('version', 'v1');
    const since = s.log.length;
    assert.match((await s.reload()).msg, /^reload 1 done/);
    const said = s.log.slice(since).map(({ msg }) => msg);
    for (const text of ['release: migrating', 'release: to stderr']) {
      assert.equal(said.filter((msg) => msg === text).length, 1, text);
      assert.ok(said.indexOf(text) < said.indexOf('worker spawned'), `"${text}" comes before the first new worker`);
    }
    assert.equal(runs(), 1);
    assert.match((await s.reload()).msg, /^reload 2 done/);
    assert.equal(runs(), 2);

    const old = await s.waitWorkers(2);
    s.set('version', 'v2');
    writeConfig(join(s.dir, 'supervisor.config.mjs'), { workers: 2, release: 'echo "no such table"; exit 7' });
    const before = s.log.length;
    const line = await assertRejected(s, old, 'release');
    assert.match(line.msg, /release command .* failed with code 7/);
    assert.ok(s.log.slice(before).some(({ msg }) => msg === 'release: no such table'));
    assert.equal(spawns(s.log.slice(before)), 0, 'workers of a release that failed');
    await load.further(20);
    await load.further(70);
    assertNothingLost(await load.stop(), ['v0', 'v1']);
    await stopClean(s);
  });

  it('is killed with its children past releaseTimeout; the addresses bound for it are closed again', async (t) => {
    const [port, extra] = [await freePort(), await freePort()];
    const bind = [`127.0.0.1:${port}`];
    const s = await startSupervisor(t, { bind: null, config: { workers: 2, bind } });
    const target = { port };
    s.set('version', 'v0');
    await s.waitReady(30_000);
    const old = await s.waitWorkers(2);
    const load = await startClients(t, target);
    const config = join(s.dir, 'supervisor.config.mjs');
    const more = { workers: 2, bind: [...bind, `127.0.0.1:${extra}`] };

    s.set('version', 'v1');
    // Its child has its output, and must not hold the reload.
    writeConfig(config, { ...more, release: 'sleep 71 & echo $! > child; wait', releaseTimeout: '1s' });
    const { fds } = s.figures();
    const late = await assertRejected(s, old, 'a release that takes too long');
    assert.match(late.msg, /did not end within releaseTimeout/);
    const child = Number(readFileSync(join(s.dir, 'child'), 'utf8'));
    await until('its child to be gone', () => !s.processesLeft().some(({ pid }) => pid === child));
    await until('its sockets to be closed', () => s.figures().fds <= fds);

    writeConfig(config, { ...more, release: 'exit 1' });
    await assertRejected(s, old, 'exit 1');
    await until('its sockets to be closed', () => s.figures().fds <= fds);
    assert.equal(listeningOn(extra).length, 0);

    writeConfig(config, { ...more, release: 'true' });
    assert.match((await s.reload()).msg, /^reload 3 done/);
    assert.equal((await requestJson({ port: extra }, '/pid')).version, 'v1');
    await load.heardFrom(await s.waitWorkers(2));
    await load.further(70);
    assertNothingLost(await load.stop(), ['v0', 'v1']);
    await stopClean(s, { ports: [port, extra] });
  });
});

/** Two releases behind a link; the second one crashes from the moment on that the file `crash` is there. */
function releases(t: TestContext): { current: string; crash: string; deploy: (release: string) => void } {
  const dir = folder(t);
  const [current, crash] = [join(dir, 'current'), join(dir, 'crash')];
  const code = readFileSync(fixtureApp, 'utf8');
  const fuse = `setInterval(() => require('node:fs').existsSync(${JSON.stringify(crash)}) && process.exit(1), 20);\n`;
  for (const release of ['r1', 'r2']) {
    mkdirSync(join(dir, release));
    const own = `process.env.VERSION = '${release}';\n${release === 'r2' ? fuse : ''}`;
    writeFileSync(join(dir, release, 'app.cjs'), own + code);
  }
  const deploy = (release: string): void => {
    symlinkSync(release, `${current}.new`);
    renameSync(`${current}.new`, current);
  };
  deploy('r1');
  return { current, crash, deploy };
}

describe('a release that crashes after its rollout', { concurrency: 2 }, () => {
  it('within rollbackWindow: the release before it is brought back, by itself and loudly', async (t) => {
    const { current, crash, deploy } = releases(t);
    const s = await startSupervisor(t, {
      app: './app.cjs',
      cwd: current,
      config: { workers: 2, rollbackWindow: '60s' },
    });
    await s.waitReady(30_000);
    deploy('r2');
    assert.match((await s.reload()).msg, /^reload 1 done/);
    assert.equal((await requestJson(s.target, '/version')).version, 'r2');
    const load = await startClients(t, s.target);

    const since = s.log.length;
    writeFileSync(crash, '');
    const loud = await s.waitForLog(/^rolling back to the previous release: generation 2 crashed \d+ times/, { since });
    assert.equal(loud.level, 50);
    await s.waitForLog(/^reload 2 done/, { since, within: 30_000 });
    const back = await s.waitWorkers(2);
    assert.ok(spawns(s.log.slice(since)) <= 10, `${spawns(s.log.slice(since))} forks`);
    await load.heardFrom(back);
    const crashed = total(await load.stop());
    crashed.assertComplete();
    // Requests inside a process that crashes are lost. Nobody is refused, and nobody waits in vain.
    assert.equal(crashed.failed, crashed.resets, crashed.details.join('\n'));

    const after = await startClients(t, s.target);
    await after.heardFrom(back);
    await after.further(100);
    assertNothingLost(await after.stop(), ['r1']);

    // A HUP is how the fix comes; the release that crashed is still what the link says.
    rmSync(crash);
    assert.match((await s.reload()).msg, /^reload 3 done/);
    assert.equal((await requestJson(s.target, '/version')).version, 'r2');
    await stopClean(s);
  });

  for (const [what, setting, crashes] of [
    ['with rollbackWindow 0 it is tried again and again', 0, 7],
    ['when the release before it is gone from the disk, it says so and goes on trying', '60s', 7],
  ] as const) {
    it(what, async (t) => {
      const { current, crash, deploy } = releases(t);
      const s = await startSupervisor(t, {
        app: './app.cjs',
        cwd: current,
        config: { workers: 2, rollbackWindow: setting },
      });
      await s.waitReady(30_000);
      deploy('r2');
      assert.match((await s.reload()).msg, /^reload 1 done/);
      if (setting !== 0) rmSync(join(current, '..', 'r1'), { recursive: true });
      const since = s.log.length;
      writeFileSync(crash, '');
      const exits = (): number => s.log.slice(since).filter(({ msg }) => /^worker exited unasked/.test(msg)).length;
      await until(`${crashes} crashes`, () => exits() >= crashes, { within: 30_000 });
      const lines = s.log.slice(since).map(({ msg }) => msg);
      if (setting === 0) {
        assert.ok(!lines.some((msg) => msg.startsWith('rolling back')), s.describe());
      } else {
        const failed = lines.filter((msg) => /^reload \d+ failed/.test(msg));
        assert.equal(failed.length, 1, failed.join('\n'));
        assert.match(failed[0] ?? '', /the previous release is gone: .* does not exist/);
      }
      rmSync(crash);
      await s.waitWorkers(2, 30_000);
      await until('an answer', async () => (await requestJson(s.target, '/version')).version === 'r2');
      await stopClean(s);
    });
  }
});
