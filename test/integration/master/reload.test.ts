/**
 * The promise: no client notices a reload. Every test here runs clients that never retry, and expects each single
 * request to be answered.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { supportsReusePort } from '../../../src/system/node-internals.ts';
import { stopClean } from '../../support/invariants.ts';
import { type Load, startLoad } from '../../support/load/child.ts';
import { fourKinds, type Report, table, total } from '../../support/load/mix.ts';
import { connectionsOf } from '../../support/proc.ts';
import { head, RawSocket } from '../../support/raw.ts';
import { request, requestJson } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { drainTimes, mostLive, readyOverTime } from '../../support/story.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor, verdict } from '../../support/supervisor.ts';
import { pause, until } from '../../support/until.ts';

const workers = 3;

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const supervisor = await startSupervisor(t, { workers, ...options });
  supervisor.set('version', 'v0');
  return await supervisor.waitReady();
}

/** Every request was answered, and by nobody but the versions there were. */
function assertNothingLost(report: Report, versions: readonly string[]): void {
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, `requests were lost:\n${table(report)}`);
  assert.ok(all.answered > 100, `there was hardly any load:\n${table(report)}`);
  assert.deepEqual([...all.versions.keys()].sort(), [...versions].sort(), 'versions that answered');
}

/** A reload that brings a version, and is over when each of its workers has answered a request. */
async function reloadTo(supervisor: Supervisor, version: string, load: Load): Promise<readonly number[]> {
  supervisor.set('version', version);
  const line = await supervisor.reload();
  assert.match(line.msg, / done /, supervisor.describe());
  const fresh = await serving(supervisor, workers);
  await load.heardFrom(fresh);
  return fresh;
}

/** Pids of the workers of the generation in force. */
async function serving(supervisor: Supervisor, count: number): Promise<number[]> {
  return await until(`${count} workers of one generation`, () => {
    const ready = supervisor.log.filter((line) => /^worker ready /.test(line.msg));
    const newest = Math.max(...ready.map((line) => Number(line.generation)));
    const pids = ready.filter((line) => line.generation === newest).map((line) => Number(line.pid));
    return pids.length === count ? pids : null;
  });
}

const noReusePort = supportsReusePort() ? false : 'this Node cannot give each worker a queue';

for (const [where, options, skip] of [
  ['TCP, one shared queue', { args: ['--queues', 'shared'] }, false],
  ['TCP, a queue per worker', { args: ['--queues', 'per-worker'] }, noReusePort],
  ['a unix socket (RLD-05)', { unix: true }, false],
] as const) {
  describe(`reloads over ${where}`, { skip }, () => {
    it('RLD-01 RLD-02: four kinds of client at once, 10 reloads in a row, every request answered', async (t) => {
      const supervisor = await start(t, options);
      const inode = 'unix' in options ? statSync(`${supervisor.dir}/app.sock`).ino : null;
      const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
      const generations = [await serving(supervisor, workers)];
      await load.heardFrom(generations[0] ?? []);
      const versions = ['v0'];
      for (let reload = 1; reload <= 10; reload++) {
        versions.push(`v${reload}`);
        generations.push([...(await reloadTo(supervisor, `v${reload}`, load))]);
      }
      await load.further(200);
      const report = await load.stop();

      assertNothingLost(report, versions);
      const seen = total(report).pids;
      for (const pid of generations.flat()) assert.ok(seen.has(String(pid)), `worker ${pid} was never heard from`);
      assert.equal(new Set(generations.flat()).size, 11 * workers);
      if (inode !== null) assert.equal(statSync(`${supervisor.dir}/app.sock`).ino, inode, 'the socket was replaced');
      t.diagnostic(`\n${table(report)}`);
      await stopClean(supervisor, { gone: [`${supervisor.dir}/app.sock`] });
    });
  });
}

describe('reloads', () => {
  it('RLD-01: after the last reload only the new workers answer', async (t) => {
    const supervisor = await start(t);
    const old = await serving(supervisor, workers);
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.further(200);
    const fresh = await reloadTo(supervisor, 'v1', load);
    await supervisor.waitWorkers(workers);
    await load.stop();

    const second = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await second.heardFrom(fresh);
    await second.further(200);
    const report = await second.stop();
    assertNothingLost(report, ['v1']);
    assert.deepEqual([...total(report).pids.keys()].map(Number).sort(), [...fresh].sort());
    assert.ok(old.every((pid) => !fresh.includes(pid)));
    await stopClean(supervisor);
  });

  it('RLD-01: whoever asks when it is done hears of the new release, however busy the old one is', async (t) => {
    const supervisor = await start(t, { workers: 1 });
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.further(200);
    for (let reload = 1; reload <= 8; reload++) {
      supervisor.set('version', `v${reload}`);
      const busy = Array.from({ length: 4 }, () => request(supervisor.target, '/spin?ms=50'));
      assert.match((await supervisor.reload()).msg, / done /);
      const asked = await Promise.all(Array.from({ length: 10 }, () => requestJson(supervisor.target, '/')));
      assert.deepEqual([...new Set(asked.map(({ version }) => version))], [`v${reload}`], `reload ${reload}`);
      await Promise.all(busy);
    }
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    await stopClean(supervisor);
  });

  it('RLD-02: a drained worker is gone once its connections had time to move', async (t) => {
    const linger = 500;
    const supervisor = await start(t, { config: { drainLinger: '500ms' } });
    const load = startLoad(t, {
      target: supervisor.target,
      groups: [{ kind: 'idle', clients: 30, think: 50 }],
    });
    await load.further(200);
    for (let reload = 1; reload <= 3; reload++) {
      await reloadTo(supervisor, `v${reload}`, load);
      await supervisor.waitWorkers(workers);
    }
    assertNothingLost(await load.stop(), ['v0', 'v1', 'v2', 'v3']);
    const times = drainTimes(supervisor.log);
    assert.equal(times.length, 3 * workers);
    assert.ok(Math.max(...times) <= linger + stretched(1_000), `drains took ${times.join(', ')} ms`);
    await stopClean(supervisor);
  });

  for (const count of [1, 2]) {
    it(`RLD-03: new before old, with ${count} worker(s) that take long to boot`, async (t) => {
      const supervisor = await start(t, { workers: count });
      const load = startLoad(t, { target: supervisor.target, groups: [{ kind: 'idle', clients: 8, think: 20 }] });
      await load.further(50);
      const boot = stretched(1_500);
      supervisor.set('boot', `slow:${boot}`);
      supervisor.set('version', 'v1');
      const line = await supervisor.reload();
      assert.match(line.msg, / done /);
      assert.ok(Number(line.durationMs) >= boot * count, 'the boots were not as slow as they should be');
      await load.further(50);
      const report = await load.stop();
      assertNothingLost(report, ['v0', 'v1']);
      assert.ok(total(report).overall.max < (boot * 2) / 3, `somebody waited for a boot:\n${table(report)}`);
      const ready = readyOverTime(supervisor.log).map((each) => each.ready);
      const fromStart = ready.slice(count - 1);
      assert.ok(
        fromStart.every((each) => each >= count),
        `fewer than ${count} were ready: ${fromStart.join(' ')}`,
      );
      assert.equal(mostLive(supervisor.log), count + 1, 'workers at a time, those on their way out not counted');
      await stopClean(supervisor);
    });
  }

  it('RLD-04: what began on the old workers ends there, what begins meanwhile gets the new ones', async (t) => {
    const supervisor = await start(t);
    const old = await serving(supervisor, workers);
    const straddling = await Promise.all(Array.from({ length: 5 }, () => RawSocket.connected(supervisor.target)));
    for (const socket of straddling) socket.write(head('/stream?chunks=10&ms=1&gate=1'));
    for (const socket of straddling) await socket.waitFor(/"chunk":4/);

    supervisor.set('version', 'v1');
    supervisor.signal('SIGHUP');
    const fresh = await until('all workers of the new version', async () => {
      const pids = await serving(supervisor, workers);
      return pids.every((pid) => !old.includes(pid)) ? pids : null;
    });
    for (let request = 0; request < 5; request++) {
      const answer = await until('only new workers to accept', async () => {
        const each = await requestJson(supervisor.target, '/version');
        return each.version === 'v1' ? each : null;
      });
      assert.ok(fresh.includes(Number(answer.pid)));
    }
    for (const socket of straddling) assert.equal(socket.ending, 'open', 'a stream was cut');
    const holding = new Set(straddling.map((socket) => Number(/"pid":(\d+)/.exec(socket.text)?.[1])));
    assert.ok([...holding].every((pid) => old.includes(pid)));
    assert.deepEqual(
      supervisor.workers().filter((pid) => old.includes(pid)),
      [...holding].sort((a, b) => a - b),
      'old workers that are still there, against those that hold a stream',
    );

    await requestJson(supervisor.target, '/open-gate');
    for (const socket of straddling) {
      await socket.waitFor(/"chunk":9.*\n\r\n0\r\n\r\n/s);
      assert.doesNotMatch(socket.text, /"version":"v1"/);
      assert.equal(socket.text.match(/"chunk"/g)?.length, 10);
    }
    await supervisor.waitWorkers(workers);
    // Their connections are the new workers' now.
    for (const socket of straddling) {
      socket.write(head('/version'));
      await socket.waitFor(/"version":"v1"/);
      socket.close();
    }
    await stopClean(supervisor);
  });

  it('RLD-07: clients that never leave do not make old generations pile up', async (t) => {
    const supervisor = await start(t, { workers: 2, config: { gracefulTimeout: '2s' } });
    const load = startLoad(t, { target: supervisor.target, groups: [{ kind: 'events', clients: 4 }] });
    let most = 0;
    for (let reload = 1; reload <= 12; reload++) {
      supervisor.set('version', `v${reload}`);
      assert.match((await supervisor.reload()).msg, / done /);
      most = Math.max(most, supervisor.workers().length);
      await pause(300);
    }
    // Two that serve, and two of each of the five generations that may be on their way out.
    assert.ok(most <= 2 + 5 * 2 + 1, `${most} workers at a time`);
    assert.ok(most > 2, 'no old worker was ever held by an event stream');
    await supervisor.waitWorkers(2);
    await load.stop();
    await stopClean(supervisor);
  });

  it('RLD-08: a failed reload says why, leaves everything as it was, and the next one works', async (t) => {
    const supervisor = await start(t);
    const old = supervisor.workers();
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.further(100);
    supervisor.set('boot', 'throw');
    supervisor.set('version', 'v1');
    const failed = await supervisor.reload();
    assert.match(failed.msg, /^reload 1 failed, nothing was changed: .*this version cannot start/);
    assert.equal(failed.level, 50);
    assert.deepEqual(await supervisor.waitWorkers(workers), old);

    supervisor.set('boot', 'ok');
    supervisor.set('version', 'v2');
    const done = await supervisor.reload();
    assert.match(done.msg, /^reload 2 done/);
    assert.equal(done.generation, 2, 'only accepted reloads count as generations');
    await load.heardFrom(await serving(supervisor, workers));
    assertNothingLost(await load.stop(), ['v0', 'v2']);
    await stopClean(supervisor);
  });

  for (const [what, boot] of [
    ['the first new worker before it is ready', 'slow:500@1'],
    ['a later new worker before it is ready', 'slow:500@2'],
  ] as const) {
    it(`RLD-09: kill -9 of ${what} leaves a whole pool of one generation`, async (t) => {
      const supervisor = await start(t);
      const old = await serving(supervisor, workers);
      const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
      await load.further(100);
      supervisor.set('boot', boot);
      supervisor.set('version', 'v1');
      const since = supervisor.log.length;
      supervisor.signal('SIGHUP');
      const slow = await until('the slow worker to boot', () => {
        const lines = supervisor.log.slice(since);
        const ready = lines.filter((line) => /^worker ready/.test(line.msg)).map((line) => line.pid);
        const spawned = lines.filter((line) => line.msg === 'worker spawned');
        const wanted = spawned[boot.endsWith('1') ? 0 : 1];
        return wanted !== undefined && !ready.includes(wanted.pid) ? Number(wanted.pid) : null;
      });
      process.kill(slow, 'SIGKILL');
      const line = await supervisor.waitForLog(verdict, { since, within: 30_000 });
      await supervisor.waitWorkers(workers);
      await load.further(100);
      const report = await load.stop();
      assert.equal(total(report).failed, 0, table(report));
      const now = supervisor.workers();
      if (/ done /.test(line.msg))
        assert.ok(
          now.every((pid) => !old.includes(pid)),
          'an old worker is left',
        );
      else
        assert.deepEqual(
          now,
          [...old].sort((a, b) => a - b),
          'a rejected reload changed the pool',
        );
      await stopClean(supervisor);
    });
  }

  it('RLD-09: kill -9 of an old worker while it drains cuts what it still served, and nothing else', async (t) => {
    const supervisor = await start(t);
    const streams = await Promise.all(Array.from({ length: 6 }, () => RawSocket.connected(supervisor.target)));
    for (const socket of streams) socket.write(head('/stream?chunks=10&ms=1&gate=1'));
    for (const socket of streams) await socket.waitFor(/"chunk":4/);
    const senderOf = (socket: RawSocket): number => Number(/"pid":(\d+)/.exec(socket.text)?.[1]);
    const [first] = streams;
    assert.ok(first !== undefined);
    const victim = senderOf(first);

    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.further(100);
    supervisor.set('version', 'v1');
    assert.match((await supervisor.reload()).msg, / done /);
    const held = streams.filter((socket) => senderOf(socket) === victim).length;
    await until('the streams to be alone on the old worker', () => connectionsOf(victim, supervisor.port) === held);
    process.kill(victim, 'SIGKILL');
    assert.notEqual(await first.waitEnd(), 'open');
    await load.heardFrom(await serving(supervisor, workers));
    await requestJson(supervisor.target, '/open-gate');
    for (const socket of streams) {
      if (senderOf(socket) !== victim) await socket.waitFor(/"chunk":9/);
    }
    await supervisor.waitWorkers(workers);
    assertNothingLost(await load.stop(), ['v0', 'v1']);
    await stopClean(supervisor);
  });
});

describe('scaling', () => {
  it('SCL-03: TTIN and TTOU in a storm, not one request lost', async (t) => {
    const supervisor = await start(t, { args: ['--max-workers', '6'] });
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.further(200);
    const end = performance.now() + 6_000;
    let size = workers;
    // On a slow machine, until the pool has changed so much.
    const latest = performance.now() + stretched(60_000);
    const isOver = (): boolean => performance.now() > end && load.progress.pids.length > 6;
    while (!isOver() && performance.now() < latest) {
      const grow = size === 1 || (size < 6 && Math.random() < 0.5);
      supervisor.signal(grow ? 'SIGTTIN' : 'SIGTTOU');
      size += grow ? 1 : -1;
      await pause(100 + Math.random() * 100);
    }
    await supervisor.waitWorkers(size);
    const report = await load.stop();
    assertNothingLost(report, ['v0']);
    assert.ok(total(report).pids.size > 6, `the pool hardly changed:\n${table(report)}`);
    await stopClean(supervisor);
  });
});
