/** Signals at random, and far too many of them: what a service is afterwards is what it was told to be. */
// Runs alone: it makes load for the whole machine, and what it sends is so many signals a second.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertResetByDead } from '../../support/faults.ts';
import { assertLog, stopClean } from '../../support/invariants.ts';
import { startLoad } from '../../support/load/child.ts';
import { table, total } from '../../support/load/mix.ts';
import { isAlive } from '../../support/proc.ts';
import { newSeed, Random } from '../../support/random.ts';
import { request, requestJson } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { type Supervisor, startSupervisor, verdict } from '../../support/supervisor.ts';
import { pause, until } from '../../support/until.ts';

/** G7 is a minute at 20 signals a second: `PREFORK_GATES=full`. */
const isFull = process.env.PREFORK_GATES === 'full';
const storm = { seconds: isFull ? 60 : 20, every: isFull ? 50 : 100 };

const count = (s: Supervisor, pattern: RegExp): number => s.log.filter(({ msg }) => pattern.test(msg)).length;

/** No reload is under way, and none is remembered. */
async function quiet(s: Supervisor): Promise<void> {
  await until('the last reload to end', () => count(s, verdict) === count(s, /^reload \d+ started/), {
    within: 60_000,
  });
  await until(
    'no further reload',
    async () => {
      const before = s.log.length;
      await pause(500);
      return s.log.length === before && count(s, verdict) === count(s, /^reload \d+ started/);
    },
    { within: 60_000 },
  );
}

describe('chaos', () => {
  it('CON-01: a hundred HUPs in a second: a reload or a few, the newest version serves, nobody notices', async (t) => {
    const s = await startSupervisor(t, { workers: 3, args: ['--graceful-timeout', '5'] });
    await s.waitReady();
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'idle', clients: 8 },
        { kind: 'fresh', clients: 2, think: 20 },
      ],
    });
    await load.answered(50);
    const spawned = count(s, /^worker spawned/);
    for (let hup = 0; hup < 100; hup++) {
      if (hup === 99) s.set('version', 'newest');
      s.signal('SIGHUP');
      await pause(9);
    }
    await s.waitForLog(/^reload \d+ done/);
    await quiet(s);
    await s.waitWorkers(3);
    const reloads = count(s, /^reload \d+ done/);
    const forks = count(s, /^worker spawned/) - spawned;
    t.diagnostic(`100 HUPs: ${reloads} reloads, ${forks} forks`);
    assert.equal(count(s, /^reload \d+ (failed|stopped)/), 0);
    assert.ok(reloads <= 10, `${reloads} reloads`);
    assert.equal(forks, reloads * 3);
    for (let look = 0; look < 10; look++) assert.equal((await requestJson(s.target, '/version')).version, 'newest');
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    await stopClean(s);
  });

  it('CON-06 G7: signals at random, to the master and to workers, under load', async (t) => {
    const random = new Random(newSeed());
    t.diagnostic(`seed ${random.seed}`);
    const s = await startSupervisor(t, {
      workers: 3,
      args: [
        '--timeout',
        `${stretched(3_000)}ms`,
        '--graceful-timeout',
        '4',
        '--max-workers',
        '6',
        '--rollback-window',
        '0',
        // Who answered last is who has a connection, as long as none moves. The soak has both.
        '--no-migration',
      ],
    });
    await s.waitReady();
    const timeout = 25_000;
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'idle', clients: 8, timeout },
        { kind: 'fresh', clients: 2, think: 20, timeout },
        { kind: 'slow', clients: 4, timeout },
      ],
    });
    await load.answered(50);
    const killed = new Set<number>();
    const stopped = new Set<number>();
    const asked = new Set<number>();
    const toWorker = (signal: NodeJS.Signals, pid: number | undefined, kept: Set<number>): void => {
      if (pid === undefined) return;
      kept.add(pid);
      try {
        process.kill(pid, signal);
      } catch {
        // It left by itself just now.
      }
    };
    const end = performance.now() + storm.seconds * 1_000;
    let sent = 0;
    try {
      while (performance.now() < end) {
        const choice = random.pick(['HUP', 'TTIN', 'TTOU', 'USR1', 'KILL', 'STOP', 'CONT', 'CONT', 'TERM'] as const);
        if (choice === 'KILL') toWorker('SIGKILL', random.pick(s.workers()), killed);
        else if (choice === 'STOP') toWorker('SIGSTOP', random.pick(s.workers()), stopped);
        else if (choice === 'CONT') toWorker('SIGCONT', random.pick([...stopped].filter(isAlive)), stopped);
        // A worker that is sent TERM is replaced first: nobody is to notice.
        else if (choice === 'TERM') toWorker('SIGTERM', random.pick(s.workers()), asked);
        else s.signal(`SIG${choice ?? 'HUP'}`);
        sent++;
        assert.equal(s.exit, null, s.describe());
        await pause(storm.every);
      }
    } finally {
      for (const pid of stopped) if (isAlive(pid)) process.kill(pid, 'SIGCONT');
    }
    await quiet(s);
    // What it was told: every change of scale that was taken is a line, and each new generation begins as configured.
    const wanted = s.log.reduce((now, { msg }) => {
      if (/the first worker of generation \d+ is good/.test(msg)) return 3;
      return Number(/^workers: \d+ -> (\d+)/.exec(msg)?.[1] ?? now);
    }, 3);
    const workers = await s.waitWorkers(wanted, 30_000);
    await load.further(100);
    const report = await load.stop();
    t.diagnostic(
      `${sent} signals, seed ${random.seed}, ${killed.size} killed, ${workers.length} workers\n${table(report)}`,
    );
    const dead = new Set([
      ...killed,
      ...s.log.filter(({ msg }) => /^worker (gets|exited unasked)/.test(msg)).map(({ pid }) => Number(pid)),
    ]);
    assertResetByDead(report, dead, `seed ${random.seed}\n`);
    for (let look = 0; look < 20; look++) assert.equal((await request(s.target, '/pid')).status, 200);
    assertLog(s);
    await stopClean(s);
  });
});
