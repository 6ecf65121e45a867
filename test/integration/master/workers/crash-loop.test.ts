/** Catalogue group LOOP: an app that crashes again and again costs little, hurts little, and recovers by itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assertClean, stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import type { LogLine } from '../../../support/log-reader.ts';
import { request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

const spawned = (lines: readonly LogLine[]): readonly LogLine[] => lines.filter(({ msg }) => msg === 'worker spawned');
const crashed = (lines: readonly LogLine[]): readonly LogLine[] =>
  lines.filter(({ msg }) => msg.startsWith('worker exited unasked'));

/** Milliseconds of processor time that a process has used. */
function cpuTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  // A hundred ticks a second, on every Linux.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

// At once: most of their time is spent waiting for a backoff.
describe('crash loops', { concurrency: 4 }, () => {
  it('LOOP-01: crashes right after ready, for ever: forks, log and processor time are bounded', async (t) => {
    const s = await startSupervisor(t, { workers: 1, env: { BOOT: 'die-after-50' } });
    await s.waitReady(30_000);
    const [since, startedAt, used] = [s.log.length, performance.now(), cpuTime(s.pid)];
    await pause(20_000);
    const window = s.log.slice(since);
    const forks = spawned(window).length;
    const spent = cpuTime(s.pid) - used;
    // 100 ms * 1.5^n, a quarter less or more: the 13th replacement is due after 29 s at the earliest.
    assert.ok(forks >= 5 && forks <= 13, `${forks} forks`);
    assert.ok(window.length <= 5 * (forks + 1), `${window.length} lines about ${forks} forks`);
    assert.ok(s.stderr.text.length < 64 * 1024, `${s.stderr.text.length} bytes of log`);
    const elapsed = performance.now() - startedAt;
    assert.ok(spent < elapsed * 0.05, `the master used ${spent} ms of ${elapsed}`);
    assert.equal(s.exit, null, 'it gave up');
    t.diagnostic(`${forks} forks, ${s.stderr.text.length} bytes of log, ${spent} ms of processor time`);

    // The app recovers, and so does the service, without being told.
    s.set('boot', 'ok');
    await s.waitServing('/healthz', 30_000);
    await stopClean(s);
  });

  it('LOOP-02: a worker that had been stable is replaced at once', async (t) => {
    const s = await startSupervisor(t, { workers: 2 });
    await s.waitReady(30_000);
    // Longer than the two seconds below which a life counts as a failed boot.
    await pause(2_500);
    const since = s.log.length;
    await request(s.target, '/exit?code=1').catch(() => undefined);
    const gone = await s.waitForLog(/^worker exited unasked/, { since });
    const next = await s.waitForLog(/^worker spawned/, { since });
    assert.equal(next.slot, gone.slot);
    assert.ok(next.time - gone.time < stretched(500), `${next.time - gone.time} ms`);
    await s.waitWorkers(2);
    await stopClean(s);
  });

  it('LOOP-03: requests that kill whoever gets them: nobody is refused, and it is over when they are', async (t) => {
    const s = await startSupervisor(t, { workers: 3 });
    await s.waitReady(30_000);
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'idle', clients: 6 },
        { kind: 'fresh', clients: 2, think: 20 },
        { kind: 'slow', clients: 2 },
      ],
    });
    await load.answered(100);
    await pause(2_000);
    let poison = 0;
    const end = performance.now() + 6_000;
    while (performance.now() < end) {
      poison += 1;
      const answer = request(s.target, '/throw', { timeout: 20_000 }).catch(() => null);
      await Promise.race([answer, pause(500)]);
      await pause(500);
    }
    await until('the last crash', () => crashed(s.log).length >= poison, { within: 20_000 });
    const workers = await s.waitWorkers(3, 30_000);
    await load.heardFrom(workers);
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    const { resets } = all;
    assert.equal(all.failed, resets, `more than what was in flight inside a worker that crashed:\n${table(report)}`);
    assert.ok(resets <= poison * 10, table(report));
    const crashes = crashed(s.log).length;
    assert.equal(crashes, poison, 'crashes, against poisoned requests');
    assert.equal(spawned(s.log).length, 3 + crashes, 'one new worker for each');
    t.diagnostic(`${poison} workers poisoned\n${table(report)}`);
    await stopClean(s, { allow: /thrown where nobody catches it|^\s+at |app\.cjs|throw new|\^|^Node\.js / });
  });

  it('LOOP-04: a HUP with the fix does not wait for the backoff', async (t) => {
    const s = await startSupervisor(t, { workers: 2, env: { BOOT: 'die-after-50' } });
    await until('two slots to be in a long backoff', () => crashed(s.log).length >= 20, { within: 40_000 });
    const since = s.log.length;
    s.set('boot', 'ok');
    s.set('version', 'fixed');
    const sentAt = Date.now();
    const done = await s.reload();
    assert.match(done.msg, /^reload 1 done/, s.describe());
    const workers = spawned(s.log.slice(since)).filter(({ generation }) => generation === 2);
    assert.deepEqual(workers.map(({ slot }) => slot).sort(), [0, 1]);
    // The backoff after ten crashes is between 2.9 and 4.8 s.
    const first = (workers[0]?.time ?? Number.POSITIVE_INFINITY) - sentAt;
    assert.ok(first < Math.min(2_900, stretched(1_500)), `the first new worker was started after ${first} ms`);
    assert.equal((await requestJson(s.target, '/version')).version, 'fixed');
    await s.waitWorkers(2);
    await stopClean(s);
  });

  it('LOOP-01: with maxBootFailures it gives up, with status 3', async (t) => {
    const s = await startSupervisor(t, { workers: 2, config: { maxBootFailures: 6 } });
    await s.waitReady(30_000);
    const since = s.log.length;
    s.set('boot', 'throw');
    for (const pid of await s.waitWorkers(2)) process.kill(pid, 'SIGKILL');
    const { code } = await s.waitExit(30_000);
    assert.equal(code, 3, s.describe());
    const forks = spawned(s.log.slice(since)).length;
    assert.ok(forks >= 4 && forks <= 7, `${forks} forks`);
    await assertClean(s, { code: 3, allow: /"level":60/ });
  });
});
