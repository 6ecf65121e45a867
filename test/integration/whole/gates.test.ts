/**
 * The gates: what is promised in figures. Scaled down by default, so that the whole suite stays within minutes on two
 * cores; `PREFORK_GATES=full` runs them at the size that is published.
 */
// Runs alone: they measure drains, memory and what is lost under a load that fills the machine.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { heapProbe, memoryAfterGc } from '../../support/heap.ts';
import { assertFree, stopClean } from '../../support/invariants.ts';
import { startLoad } from '../../support/load/child.ts';
import { fourKinds, table, total } from '../../support/load/mix.ts';
import { stretched } from '../../support/slowness.ts';
import { drainTimes } from '../../support/story.ts';
import { startSupervisor } from '../../support/supervisor.ts';
import { pause, until } from '../../support/until.ts';

const full = process.env.PREFORK_GATES === 'full';
const workers = 3;
const timeout = stretched(30 * 60_000);

describe(`gates${full ? '' : ', scaled down'}`, { timeout }, () => {
  const [posts, leastReloads] = full ? [20_000, 10] : [4_000, 5];
  it(`G1 RLD-01: ${posts} POSTs of 16 KiB over fresh connections, reloads as fast as they complete`, async (t) => {
    const supervisor = await startSupervisor(t, { workers });
    supervisor.set('version', 'v0');
    await supervisor.waitReady();
    const load = startLoad(t, {
      target: supervisor.target,
      groups: [{ kind: 'fresh', clients: 10, body: 16 * 1024 }],
    });
    await load.answered(1);
    const versions = ['v0'];
    while (versions.length <= leastReloads || load.progress.answered < posts) {
      const version = `v${versions.length}`;
      supervisor.set('version', version);
      versions.push(version);
      assert.match((await supervisor.reload()).msg, / done /, supervisor.describe());
    }
    await load.further(100);
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    assert.ok(all.answered >= posts);
    assert.deepEqual([...all.versions.keys()].sort(), [...versions].sort(), 'versions that answered');
    t.diagnostic(`${versions.length - 1} reloads\n${table(report)}`);
    await stopClean(supervisor);
  });

  const [seconds, reloads] = full ? [60, 20] : [12, 4];
  it(`G2 RLD-02: 50 keep-alive connections for ${seconds} s, ${reloads} reloads, no client retries`, async (t) => {
    const linger = 2_000;
    const supervisor = await startSupervisor(t, { workers });
    await supervisor.waitReady();
    const load = startLoad(t, {
      target: supervisor.target,
      groups: [{ kind: 'idle', clients: 50, think: 50 }],
    });
    await load.answered(100);
    for (let reload = 1; reload <= reloads; reload++) {
      await pause((seconds * 1_000) / reloads - 300);
      assert.match((await supervisor.reload()).msg, / done /, supervisor.describe());
    }
    await load.further(200);
    const report = await load.stop();
    const all = total(report);
    assert.equal(all.failed, 0, table(report));
    // With 50 connections, each worker of each generation but the last has had some.
    assert.ok(all.pids.size >= workers * reloads, table(report));
    await supervisor.waitWorkers(workers);
    const slowest = Math.max(...drainTimes(supervisor.log));
    assert.ok(slowest <= linger + stretched(1_000), `an old worker took ${slowest} ms to leave`);
    t.diagnostic(`the slowest drain took ${slowest} ms\n${table(report)}`);
    await stopClean(supervisor);
  });

  const kills = full ? 60 : 8;
  it(`G4 KILL-01: kill -9 of a worker a second, ${kills} times: none refused, none hangs`, async (t) => {
    const supervisor = await startSupervisor(t, { workers });
    await supervisor.waitReady();
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.answered(200);
    for (let kill = 0; kill < kills; kill++) {
      const pids = await supervisor.waitWorkers(workers);
      const victim = pids[Math.floor(Math.random() * pids.length)];
      assert.ok(victim !== undefined);
      process.kill(victim, 'SIGKILL');
      await pause(1_000);
    }
    const report = await load.stop();
    const all = total(report);
    const { resets } = all;
    assert.equal(all.failed, resets, table(report));
    // In flight on one of three workers: of the busy, fresh and slow clients about a third each.
    assert.ok(resets <= kills * 16, `${resets} requests were lost to ${kills} kills\n${table(report)}`);
    t.diagnostic(`\n${table(report)}`);
    await stopClean(supervisor);
  });

  const soak = full ? 200 : 30;
  it(`G6 RLD-06: ${soak} reloads leave nothing behind in the master`, async (t) => {
    // V8 lets a young generation grow up to 48 MiB as it likes, which hides what is left behind: here it is small and fixed.
    const nodeArgs = ['--trace-warnings', '--max-semi-space-size=1', ...heapProbe];
    const supervisor = await startSupervisor(t, { workers: 2, nodeArgs });
    await supervisor.waitReady();
    const reload = async (): Promise<void> => {
      assert.match((await supervisor.reload()).msg, / done /, supervisor.describe());
    };
    const measure = async () => {
      await supervisor.waitWorkers(2);
      await until('the exits to be seen', () => supervisor.children().every(({ state }) => state !== 'Z'));
      return { ...supervisor.figures(), ...(await memoryAfterGc(supervisor)) };
    };
    // In the first ones code is compiled and caches fill.
    for (let count = 0; count < 30; count++) await reload();
    const before = await measure();
    for (let count = 0; count < soak; count++) await reload();
    const after = await measure();
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
    t.diagnostic(
      `fds ${before.fds} -> ${after.fds}, threads ${before.threads} -> ${after.threads}, ` +
        `heap ${mib(before.heapUsed)} -> ${mib(after.heapUsed)} MiB, rss ${mib(before.rss)} -> ${mib(after.rss)} MiB`,
    );
    assert.ok(after.fds <= before.fds + 2, `fds: ${before.fds} -> ${after.fds}`);
    assert.ok(after.threads <= before.threads, `threads: ${before.threads} -> ${after.threads}`);
    assert.ok(after.heapUsed <= before.heapUsed * 1.1, `heap: ${mib(before.heapUsed)} -> ${mib(after.heapUsed)} MiB`);
    assert.ok(after.rss <= before.rss * 1.1, `rss: ${mib(before.rss)} -> ${mib(after.rss)} MiB`);
    await stopClean(supervisor);
  });

  const deaths = full ? 100 : 8;
  it(`G8 KILL-04: kill -9 of the master at ${deaths} random moments: nothing is left`, async (t) => {
    for (let death = 0; death < deaths; death++) {
      const supervisor = await startSupervisor(t, { workers: 2 });
      // Half of them while it starts, half in a reload.
      if (death % 2 === 1) {
        await supervisor.waitReady();
        supervisor.signal('SIGHUP');
      }
      const moment = Math.round(Math.random() * 500);
      await pause(moment);
      process.kill(supervisor.pid, 'SIGKILL');
      await supervisor.waitExit();
      const what = `everything to be gone after a kill ${moment} ms into ${death % 2 === 1 ? 'a reload' : 'the start'}`;
      await until(what, () => supervisor.processesLeft().length === 0, { within: 4_000 }).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${JSON.stringify(supervisor.processesLeft())}`, { cause: error });
      });
      await assertFree(supervisor.port);
    }
  });
});
