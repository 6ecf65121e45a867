/** Catalogue group HAND: a reload that people or pipelines decide, step by step, under load. */
import assert from 'node:assert/strict';
import {
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
import { type CommandEnd, runCommand } from '../../support/command.ts';
import { stopClean } from '../../support/invariants.ts';
import { type Load, startLoad } from '../../support/load/child.ts';
import { type Group, table, total } from '../../support/load/mix.ts';
import { fixtureApp } from '../../support/paths.ts';
import { requestJson } from '../../support/request.ts';
import { type Supervisor, startSupervisor, writeConfig } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const clients: readonly Group[] = [
  { kind: 'busy', clients: 2, think: 10 },
  { kind: 'idle', clients: 4 },
  { kind: 'fresh', clients: 2, think: 20 },
];

/** A service whose releases are folders behind a link. */
interface Deployed {
  readonly s: Supervisor;
  readonly load: Load;
  /** Points the link to a release. */
  readonly deploy: (release: string) => void;
  readonly run: (...words: string[]) => Promise<CommandEnd>;
}

async function start(t: TestContext, config: Readonly<Record<string, unknown>> = {}): Promise<Deployed> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-test-hand-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const code = readFileSync(fixtureApp, 'utf8');
  const current = join(dir, 'current');
  const deploy = (release: string): void => {
    mkdirSync(join(dir, release), { recursive: true });
    writeFileSync(join(dir, release, 'app.cjs'), `process.env.VERSION = '${release}';\n${code}`);
    symlinkSync(release, `${current}.new`);
    renameSync(`${current}.new`, current);
  };
  deploy('r1');
  const s = await startSupervisor(t, {
    app: './app.cjs',
    cwd: current,
    config: { workers: 2, ...config },
    args: ['-p', join(dir, 'app.pid')],
  });
  await s.waitReady(30_000);
  const load = startLoad(t, { target: s.target, groups: clients });
  await load.answered(30);
  return { s, load, deploy, run: (...words) => runCommand([...words, '--pid', join(dir, 'app.pid')]) };
}

async function end({ s, load }: Deployed): Promise<void> {
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, `requests were lost:\n${table(report)}`);
  await stopClean(s);
}

/** Versions that answer so many connections of their own. */
async function versions(s: Supervisor, count: number): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < count; i += 1) seen.add((await requestJson(s.target, '/version')).version as string);
  return seen;
}

describe('a reload by hand', { concurrency: 2 }, () => {
  it('HAND-01 held, one new worker serves beside all the old ones; promoted, the rest follow', async (t) => {
    const deployed = await start(t);
    const { s, run, deploy } = deployed;
    const old = await s.waitWorkers(2);
    deploy('r2');
    const held = await run('reload', '--hold', '--wait');
    assert.deepEqual([held.code, /^reload 1 is held: /.test(held.stdout)], [0, true], held.stderr);
    await until('both releases answer', async () => (await versions(s, 20)).size === 2);
    const workers = await s.waitWorkers(3);
    assert.ok(old.every((pid) => workers.includes(pid)));
    assert.match((await run('status')).stdout, /^ {2}reload 1 under way: held: the first new worker serves/m);
    const done = await run('promote', '--wait');
    assert.deepEqual([done.code, /^reload 1 done in /.test(done.stdout)], [0, true], done.stderr);
    assert.deepEqual([...(await versions(s, 20))], ['r2']);
    await end(deployed);
  });

  it('HAND-02 aborted, the new worker leaves and nothing else has changed', async (t) => {
    const deployed = await start(t);
    const { s, run, deploy } = deployed;
    const old = await s.waitWorkers(2);
    deploy('r2');
    assert.equal((await run('reload', '--hold', '--wait')).code, 0);
    await until('both releases answer', async () => (await versions(s, 20)).size === 2);
    assert.deepEqual(await run('abort'), {
      code: 0,
      stdout: 'aborted: the workers from before the reload serve on\n',
      stderr: '',
    });
    await s.waitForLog(/^reload 1 failed, nothing was changed: it was aborted by an operator$/);
    assert.deepEqual((await s.waitWorkers(2)).sort(), old.sort());
    assert.deepEqual([...(await versions(s, 10))], ['r1']);
    await end(deployed);
  });

  it('HAND-02 abort while it is prepared ends the release command, and nothing has changed', async (t) => {
    const deployed = await start(t);
    const { s, run, load } = deployed;
    const old = await s.waitWorkers(2);
    writeConfig(join(s.dir, 'supervisor.config.mjs'), { workers: 2, release: 'sleep 600' });
    const waiting = run('reload', '--wait');
    await s.waitForLog(/^reload 1 started/);
    assert.equal((await run('abort')).code, 0);
    const { code, stderr } = await waiting;
    assert.equal(code, 1);
    assert.match(stderr, /^prefork: reload 1 failed, nothing was changed: it was aborted by an operator$/m);
    await load.further(20);
    assert.deepEqual((await s.waitWorkers(2)).sort(), old.sort());
    await end(deployed);
  });

  it('HAND-03 a reload that is held ends with its worker, and gives way to the next one', async (t) => {
    const deployed = await start(t);
    const { s, run, deploy } = deployed;
    const old = await s.waitWorkers(2);
    deploy('r2');
    assert.equal((await run('reload', '--hold', '--wait')).code, 0);
    deploy('r3');
    const next = await run('reload', '--wait');
    assert.match(next.stdout, /^reload 2 done/, next.stderr);
    assert.ok(s.log.some(({ msg }) => msg === 'reload 1 failed, nothing was changed: another reload was asked for'));
    assert.deepEqual([...(await versions(s, 10))], ['r3']);
    assert.ok((await s.waitWorkers(2)).every((pid) => !old.includes(pid)));
    await end(deployed);
  });

  it('HAND-04 rollback brings the release before back, and once more the one after it', async (t) => {
    const deployed = await start(t);
    const { s, run, deploy } = deployed;
    const none = await run('rollback', '--wait');
    assert.deepEqual([none.code, none.stderr], [1, 'prefork: there is no generation before this one\n']);
    deploy('r2');
    assert.equal((await run('reload', '--wait')).code, 0);
    assert.deepEqual([...(await versions(s, 10))], ['r2']);
    const back = await run('rollback', '--wait');
    assert.match(
      back.stdout,
      /^reload 2 has brought the release before back in [\d.]+ s, generation 3 serves/,
      back.stderr,
    );
    assert.deepEqual([...(await versions(s, 10))], ['r1']);
    assert.equal((await run('rollback', '--wait')).code, 0);
    assert.deepEqual([...(await versions(s, 10))], ['r2']);
    await end(deployed);
  });

  it('HAND-05 what there is nothing to do for says so in one line', async (t) => {
    const deployed = await start(t);
    const { s, run } = deployed;
    for (const word of ['promote', 'abort']) {
      const { code, stderr } = await run(word);
      assert.deepEqual([code, stderr], [1, 'prefork: no reload is under way\n'], word);
    }
    const wrong = await run('reload', '--hold=maybe');
    assert.equal(wrong.code, 2);
    assert.equal(wrong.stderr.trim().split('\n').length, 1, wrong.stderr);
    await s.waitWorkers(2);
    await end(deployed);
  });
});
