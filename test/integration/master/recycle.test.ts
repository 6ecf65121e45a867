/** Catalogue group MAXR: workers that are spent are replaced, new before old, and no client notices. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Settings } from '../../../src/config/resolved.ts';
import { drawLimits } from '../../../src/master/policy.ts';
import { stopClean } from '../../support/invariants.ts';
import { type Load, startLoad } from '../../support/load/child.ts';
import { type Report, table, total } from '../../support/load/mix.ts';
import type { LogLine } from '../../support/log-reader.ts';
import { requestJson } from '../../support/request.ts';
import { mostLive, readyOverTime } from '../../support/story.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../support/supervisor.ts';
import { stays, until } from '../../support/until.ts';

async function start(t: TestContext, workers: number, options: SupervisorOptions): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers, ...options });
  return await s.waitReady(30_000);
}

function startClients(t: TestContext, s: Supervisor): Load {
  return startLoad(t, {
    target: s.target,
    groups: [
      { kind: 'busy', clients: 3 },
      { kind: 'idle', clients: 6 },
      { kind: 'fresh', clients: 2 },
      { kind: 'slow', clients: 2 },
    ],
  });
}

function assertNothingLost(report: Report): void {
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, `requests were lost:\n${table(report)}`);
}

const retired = (s: Supervisor, why: RegExp): readonly LogLine[] =>
  s.log.filter(({ msg }) => msg.startsWith('worker retires: ') && why.test(msg));

/** New before old, and one at a time: never fewer ready than there should be, never more than one beyond. */
function assertOneByOne(s: Supervisor, workers: number): void {
  const { log } = s;
  const story = readyOverTime(log);
  const full = story.findIndex(({ ready }) => ready === workers);
  const least = Math.min(...story.slice(full).map(({ ready }) => ready));
  assert.equal(least, workers, `only ${least} of ${workers} workers were ready`);
  assert.ok(mostLive(log) <= workers + 1, `${mostLive(log)} workers at a time, that neither drained nor were gone`);
}

describe('recycling by requests', () => {
  it('MAXR-02: limits are drawn for each life, evenly between the limit and the limit plus its jitter', () => {
    const drawn = { maxRequests: 200, maxRequestsJitter: 99, maxLifetime: 1_000, maxLifetimeJitter: 0 } as Settings;
    const lives = Array.from({ length: 1_000 }, () => drawLimits(drawn));
    const tenths = new Map<number, number>();
    for (const { requests, lifetime } of lives) {
      assert.ok(requests !== null && requests >= 200 && requests <= 299, `${requests} requests`);
      assert.equal(lifetime, 1_000);
      const tenth = Math.floor((requests - 200) / 10);
      tenths.set(tenth, (tenths.get(tenth) ?? 0) + 1);
    }
    // A hundred each on average; five standard deviations either way.
    for (let tenth = 0; tenth < 10; tenth++) {
      const count = tenths.get(tenth) ?? 0;
      assert.ok(count > 50 && count < 150, `${count} lives of ${200 + tenth * 10} requests and a few`);
    }
    const off = { maxRequests: 0, maxRequestsJitter: 50, maxLifetime: 0, maxLifetimeJitter: 50 } as Settings;
    assert.deepEqual(drawLimits(off), { requests: null, lifetime: null });
  });

  for (const jitter of [0, 100]) {
    it(`MAXR-01 MAXR-02: every 200 requests, jitter ${jitter}, under load: none is lost`, async (t) => {
      const workers = 4;
      const s = await start(t, workers, {
        config: { maxRequests: 200, maxRequestsJitter: jitter },
      });
      const load = startClients(t, s);
      const why = /maxRequests reached/;
      await until('12 workers to be recycled', () => retired(s, why).length >= 12, { within: 40_000, every: 50 });
      const report = await load.stop();
      assertNothingLost(report);
      assertOneByOne(s, workers);
      const slots = new Set(retired(s, why).map(({ slot }) => slot));
      assert.equal(slots.size, workers, 'places in the pool that were recycled');
      for (const { pid } of retired(s, why)) {
        const served = total(report).pids.get(String(pid)) ?? 0;
        assert.ok(served >= 200, `worker ${String(pid)} retired after ${served} requests`);
      }
      assert.ok(total(report).pids.size >= 12, table(report));
      t.diagnostic(`${retired(s, why).length} recycled\n${table(report)}`);
      await stopClean(s);
    });
  }

  it('MAXR-04: a spent worker whose successor cannot boot goes on serving', async (t) => {
    const workers = 2;
    const s = await start(t, workers, { config: { maxRequests: 50 } });
    const old = await s.waitWorkers(workers);
    s.set('boot', 'throw');
    const load = startClients(t, s);
    const failed = (): readonly LogLine[] =>
      s.log.filter(({ msg }) => /^worker exited unasked .* before it was/.test(msg));
    const failures = (): number => failed().length;
    await until('five successors that could not boot', () => failures() >= 5, { within: 40_000 });
    assert.equal(retired(s, /./).length, 0, 'a worker retired without a successor');
    assert.ok(old.every((pid) => s.workers().includes(pid)));
    await load.further(100);

    // It recovers by itself: every place that was to be recycled is.
    s.set('boot', 'ok');
    const places = new Set(failed().map(({ slot }) => slot));
    await until(
      'the spent workers to be recycled',
      () => [...places].every((place) => retired(s, /maxRequests/).some(({ slot }) => slot === place)),
      { within: 40_000 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${s.describe()}`, { cause: error });
    });
    const report = await load.stop();
    assertNothingLost(report);
    assertOneByOne(s, workers);
    assert.ok(failures() <= 30, `${failures()} forks in vain`);
    t.diagnostic(`${failures()} successors could not boot\n${table(report)}`);
    await stopClean(s);
  });

  it('MAXR-03: a limit of one request: every worker is replaced after it, none is lost', async (t) => {
    const s = await start(t, 1, { config: { maxRequests: 1 } });
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'fresh', clients: 1, think: 20 },
        { kind: 'idle', clients: 2 },
      ],
    });
    await until('4 workers to be recycled', () => retired(s, /maxRequests/).length >= 4, { within: 30_000 });
    assertNothingLost(await load.stop());
    assertOneByOne(s, 1);
    await stopClean(s);
  });
});

describe('recycling by age and memory', { concurrency: 2 }, () => {
  it('maxLifetime: every worker is replaced at its age, jitter included; none is lost', async (t) => {
    const workers = 3;
    const s = await start(t, workers, { config: { maxLifetime: '3s', maxLifetimeJitter: '2s' } });
    const load = startClients(t, s);
    const why = /maxLifetime reached/;
    await until('9 workers to be recycled', () => retired(s, why).length >= 9, { within: 40_000, every: 50 });
    assertNothingLost(await load.stop());
    assertOneByOne(s, workers);
    const born = new Map(s.log.filter(({ msg }) => msg === 'worker spawned').map((line) => [line.worker, line.time]));
    for (const line of retired(s, why)) {
      const age = line.time - (born.get(line.worker) ?? 0);
      assert.ok(age >= 2_900, `worker ${String(line.worker)} retired at the age of ${age} ms`);
    }
    await stopClean(s);
  });

  it('maxMemory: a worker that has grown is replaced, the others stay; none is lost', async (t) => {
    const workers = 2;
    const s = await start(t, workers, { config: { maxMemory: '300mb' } });
    const old = await s.waitWorkers(workers);
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'idle', clients: 6 },
        { kind: 'fresh', clients: 2, think: 20 },
      ],
    });
    const grown = Number((await requestJson(s.target, '/leak?mb=350')).pid);
    const line = await s.waitForLog(/^worker retires: maxMemory exceeded/, { within: 40_000 });
    assert.equal(line.pid, grown);
    const now = await s.waitWorkers(workers);
    assert.deepEqual(
      now.filter((pid) => old.includes(pid)),
      old.filter((pid) => pid !== grown),
    );
    await load.heardFrom(now);
    await stays('one that retires', () => retired(s, /./).length === 1, 500);
    assertNothingLost(await load.stop());
    assertOneByOne(s, workers);
    await stopClean(s);
  });
});
