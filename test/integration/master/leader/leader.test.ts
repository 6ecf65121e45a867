/** Catalogue group LEAD: one worker of the service does what only one may do, and never two at a time. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { LeaderFile } from '../../../support/leader-file.ts';
import { startService, stopService } from '../../../support/masters.ts';
import { fixture } from '../../../support/paths.ts';
import { isAlive } from '../../../support/proc.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, stays, until } from '../../../support/until.ts';

const timeout = stretched(120_000);

interface Started {
  readonly s: Supervisor;
  readonly file: LeaderFile;
}

function options(more: SupervisorOptions): SupervisorOptions {
  return {
    app: fixture('leader/app.mjs'),
    workers: 3,
    ...more,
    args: ['-p', 'app.pid', ...(more.args ?? [])],
    env: { LEADER_FILE: 'leader.txt', ...more.env },
  };
}

async function start(t: TestContext, more: SupervisorOptions = {}): Promise<Started> {
  const s = await startSupervisor(t, options(more));
  await s.waitReady(30_000);
  const file = new LeaderFile(join(s.dir, 'leader.txt'));
  await until('a leader', () => file.last());
  return { s, file };
}

/** Waits for another leader than these. */
async function another(file: LeaderFile, ...than: readonly number[]): Promise<number> {
  return await until(
    'another leader',
    () => {
      const last = file.last();
      return last !== null && !than.includes(last) ? last : null;
    },
    { within: 20_000 },
  );
}

function leaderOf({ file }: Started): number {
  const last = file.last();
  assert.ok(last !== null);
  return last;
}

async function stop({ s, file }: Started): Promise<void> {
  const leader = leaderOf({ s, file });
  const { code } = await s.stop('SIGTERM', 30_000);
  assert.equal(code, 0);
  file.assertOneAtATime();
  assert.equal(isAlive(leader), false);
}

describe('the leader', { timeout }, () => {
  it('LEAD-03: one of three workers leads; kill -9, TERM to it, recycling, a reload and scaling: never two', async (t) => {
    const started = await start(t, { env: { RESIGNS: '150' } });
    const { s, file } = started;
    let leader = leaderOf(started);
    assert.deepEqual(file.begun(), [leader]);
    await pause(2_100);
    process.kill(leader, 'SIGKILL');
    leader = await another(file, leader);
    process.kill(leader, 'SIGTERM');
    leader = await another(file, leader);
    await s.waitWorkers(3);
    await runCommand(['recycle', '--pid', join(s.dir, 'app.pid')]);
    leader = await another(file, leader);
    await s.waitWorkers(3, 30_000);
    leader = leaderOf(started);
    await s.reload();
    leader = await another(file, leader);
    await runCommand(['scale', '1', '--pid', join(s.dir, 'app.pid')]);
    await s.waitWorkers(1, 30_000);
    leader = await until('the worker that is left to lead', () => s.workers().find((pid) => pid === file.last()));
    await runCommand(['scale', '4', '--pid', join(s.dir, 'app.pid')]);
    await s.waitWorkers(4, 30_000);
    await stays('the leader', () => file.last() === leader, 500);
    assert.ok(file.assertOneAtATime() >= 5);
    await stop(started);
  });

  it('LEAD-03: a reload of a single worker; its canary does not lead before it is in force', async (t) => {
    const started = await start(t, { workers: 1, args: ['-p', 'app.pid', '--min-ready-seconds', '1'] });
    const { s, file } = started;
    const leader = leaderOf(started);
    const since = s.log.length;
    s.signal('SIGHUP');
    await s.waitForLog(/^worker ready/, { since });
    await stays('the old leader', () => file.last() === leader, 500);
    await another(file, leader);
    await stop(started);
  });

  it('LEAD-04: a leader that blocks or is stopped leads on until it is killed', async (t) => {
    const started = await start(t, { args: ['--timeout', '2', '--blocked-warning', '0'] });
    const { s, file } = started;
    const leader = leaderOf(started);
    process.kill(leader, 'SIGSTOP');
    const next = await another(file, leader);
    assert.equal(isAlive(leader), false, 'the old one lives');
    file.assertOneAtATime();
    assert.ok(s.log.some(({ msg }) => /stuck/.test(msg)));
    // This one cannot hear its signal.
    for (let tries = 0; tries < 100 && file.last() === next; tries += 1) {
      await request(s.target, '/block', { timeout: 300 }).catch(() => null);
      if (!(await stillTicks(file, next))) break;
    }
    await another(file, leader, next);
    await s.waitWorkers(3, 30_000);
    await stop(started);
  });

  it('LEAD-05: one that ignores the signal, or takes none, is the leader until its process is gone', async (t) => {
    for (const app of ['leader/app.mjs', 'leader/app.cjs']) {
      const started = await start(t, {
        app: fixture(app),
        args: ['--graceful-timeout', '2'],
        env: { RESIGNS: 'never' },
      });
      const leader = leaderOf(started);
      await started.s.reload();
      await another(started.file, leader);
      assert.equal(isAlive(leader), false, 'the old one lives');
      // What is no promise is not waited for.
      const warning = /it led to its end: the work of onLeader/;
      if (app.endsWith('.mjs')) await started.s.waitForLog(warning);
      else assert.ok(!started.s.log.some(({ msg }) => warning.test(msg)));
      await stop(started);
    }
  });

  it('LEAD-06: work that fails is begun anew, later and later; work that is done early is not', async (t) => {
    const fails = await start(t, { env: { FAILS: '100' } });
    await fails.s.waitForLog(/^worker leads no more: the work of onLeader failed: Error: the work fails/);
    await until('it to be begun anew', () => fails.file.begun().length >= 3);
    assert.equal(fails.s.log.filter(({ msg }) => /exited unasked/.test(msg)).length, 0);
    const ends = fails.file.lines().filter(({ what }) => what === 'end').length;
    assert.ok(fails.file.begun().length - ends <= 1, 'begun before the other one has ended');
    await fails.s.stop('SIGTERM', 30_000);
    const early = await start(t, { env: { EARLY: '1' } });
    await stays('a single leader', () => early.file.begun().length === 1, 1_500);
    process.kill(leaderOf(early), 'SIGTERM');
    await until('the next leader', () => early.file.begun().length === 2);
    await stop(early);
  });

  it('LEAD-07: TypeScript, two pieces of work: both begin, both are awaited', async (t) => {
    const started = await start(t, { app: fixture('leader/app.ts') });
    const { file } = started;
    const leader = leaderOf(started);
    await until('both to begin', () => file.begun().length === 2);
    process.kill(leader, 'SIGTERM');
    await another(file, leader);
    const ends = file.lines().filter(({ what, pid }) => what === 'end' && pid === leader);
    assert.equal(ends.length, 2);
    await stop(started);
  });

  it('LEAD-08: an upgrade of the master, two in a row: the new workers lead once the old leader has ended', async (t) => {
    const service = await startService(t, {
      app: fixture('leader/app.mjs'),
      env: { LEADER_FILE: 'leader.txt', RESIGNS: '300' },
    });
    const { s, masters } = service;
    const file = new LeaderFile(join(s.dir, 'leader.txt'));
    let leader = await until('a leader', () => file.last());
    for (let round = 0; round < 2; round += 1) {
      await masters.upgrade();
      leader = await another(file, leader);
      assert.ok(masters.workers().includes(leader), 'a worker of the new master leads');
    }
    assert.equal(file.assertOneAtATime(), 3);
    await stopService(service);
  });

  it('LEAD-08: by hand: the old one leads until WINCH; then the new one; and back after its end', async (t) => {
    const service = await startService(t, {
      app: fixture('leader/app.mjs'),
      args: ['--upgrade-by-hand'],
      env: { LEADER_FILE: 'leader.txt', RESIGNS: '100' },
    });
    const { s, masters } = service;
    const file = new LeaderFile(join(s.dir, 'leader.txt'));
    const first = await until('a leader', () => file.last());
    const old = masters.current();
    const second = await masters.begin();
    await masters.until('its workers', () => masters.workers(second).length === 2);
    await stays('the old leader', () => file.last() === first, 500);
    masters.signal('SIGWINCH', old);
    const next = await another(file, first);
    assert.ok(masters.workers(second).includes(next));
    masters.signal('SIGHUP', old);
    await masters.until('the old one to serve again', () => masters.workers(old).length === 2);
    await stays('the new leader', () => file.last() === next, 300);
    masters.signal('SIGTERM', second);
    const last = await another(file, first, next);
    assert.ok(masters.workers(old).includes(last));
    file.assertOneAtATime();
    await masters.until('the new one to be gone', () => !isAlive(second));
    await stopService(service);
  });

  it('LEAD-09: kill -9 of the master: its leader ends, and a new master that is started at once waits for it', async (t) => {
    const started = await start(t, { env: { RESIGNS: '5000' }, args: ['-n', 'leader-orphans'] });
    const { s, file } = started;
    const leader = leaderOf(started);
    const env = Object.fromEntries([['LEADER_FILE', file.path]]);
    process.kill(s.pid, 'SIGKILL');
    const next = await startSupervisor(t, {
      ...options({ args: ['-n', 'leader-orphans'], env }),
      bind: [`127.0.0.1:${s.port}`],
    });
    await next.waitReady(30_000);
    const now = await another(file, leader);
    assert.ok(next.workers().includes(now));
    const ended = file.lines().find(({ what, pid }) => what === 'end' && pid === leader);
    assert.ok(ended !== undefined, 'the leader of the dead master has not ended its work');
    file.assertOneAtATime();
    await stop({ s: next, file });
  });

  it('LEAD-09: kill -9 of the old master in the middle of an upgrade: the new one waits for its leader', async (t) => {
    const service = await startService(t, {
      app: fixture('leader/app.mjs'),
      env: { LEADER_FILE: 'leader.txt', RESIGNS: '2000' },
    });
    const { s, masters } = service;
    const file = new LeaderFile(join(s.dir, 'leader.txt'));
    const leader = await until('a leader', () => file.last());
    const old = masters.current();
    const now = await masters.inCharge();
    process.kill(old, 'SIGKILL');
    assert.equal(file.last(), leader, 'its work takes longer');
    const next = await another(file, leader);
    assert.ok(masters.workers(now).includes(next));
    assert.ok(file.lines().some(({ what, pid }) => what === 'end' && pid === leader));
    file.assertOneAtATime();
    process.kill(now, 'SIGTERM');
    await until('the end of every process', () => s.processesLeft().length === 0, { within: 30_000 });
  });

  it('LEAD-09: without a folder for it the log says what is not covered, and an upgrade goes on as well', async (t) => {
    const service = await startService(t, {
      app: fixture('leader/app.mjs'),
      env: { LEADER_FILE: 'leader.txt', RESIGNS: '300', XDG_RUNTIME_DIR: '/proc/none' },
    });
    const { s, masters } = service;
    const file = new LeaderFile(join(s.dir, 'leader.txt'));
    const leader = await until('a leader', () => file.last());
    await s.waitForLog(/^onLeader: a leader that outlives a master which is killed would not be noticed: cannot make/);
    await masters.upgrade();
    const next = await another(file, leader);
    assert.ok(masters.workers().includes(next));
    file.assertOneAtATime();
    await stopService(service, /^onLeader: /);
  });

  it('LEAD-10: status, top and the log say who leads; without onLeader nobody is asked and nothing is said', async (t) => {
    const started = await start(t);
    const { s, file } = started;
    const leader = leaderOf(started);
    const pid = ['--pid', join(s.dir, 'app.pid')];
    const { stdout } = await runCommand(['status', '--json', ...pid]);
    const status = JSON.parse(stdout) as { leader?: { slot: number; worker: number; pid: number } };
    assert.equal(status.leader?.pid, leader);
    const text = await runCommand(['status', ...pid]);
    assert.match(text.stdout, new RegExp(`leader: slot ${status.leader?.slot}`));
    const top = await runCommand(['top', '--once', ...pid]);
    assert.match(top.stdout, new RegExp(`slot ${status.leader?.slot} leads`));
    assert.equal(s.log.filter(({ msg }) => /leads/.test(msg)).length, 1);
    assert.equal(file.assertOneAtATime(), 1);
    await stop(started);
    const without = await startSupervisor(t, { workers: 2, args: ['-p', 'app.pid'] });
    await without.waitReady(30_000);
    const other = await runCommand(['status', '--json', '--pid', join(without.dir, 'app.pid')]);
    assert.equal('leader' in JSON.parse(other.stdout), false);
    assert.deepEqual(
      without.log.filter(({ msg }) => /\bleads?\b/.test(msg)),
      [],
    );
    await without.stop();
  });
});

/** Whether it still writes a line now and then. */
async function stillTicks(file: LeaderFile, pid: number): Promise<boolean> {
  const before = file.lines().length;
  await pause(300);
  return file.last() === pid && file.lines().length > before;
}
