/** Catalogue group HB: workers that do nothing more are found, explained and replaced; nobody else is touched. */
// Runs alone: its workers spin, and how long others wait for them is measured.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { heartbeat } from '../../../../src/master/workers/pool.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import type { LogLine } from '../../../support/log-reader.ts';
import { fixture, fixtureApp } from '../../../support/paths.ts';
import { isAlive, residentSize } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { request, requestJson, type Target } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, stays, until } from '../../../support/until.ts';

// Where a stack must be found, the worker is given four seconds: on a busy machine an inspector takes two to answer.
async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const supervisor = await startSupervisor(t, { workers: 2, ...options });
  return await supervisor.waitReady();
}

/** The line of a fixture that holds a text, counted from one. */
function lineOf(path: string, text: string): number {
  const index = readFileSync(path, 'utf8')
    .split('\n')
    .findIndex((each) => each.includes(text));
  assert.ok(index >= 0, `${path} has no ${text}`);
  return index + 1;
}

const isBlocked = (line: LogLine): boolean => /event loop is blocked/.test(line.msg);
const warnings = (s: Supervisor): LogLine[] => s.log.filter((line) => isBlocked(line) && line.level === 40);
const kills = (s: Supervisor): LogLine[] => s.log.filter((line) => /^worker gets /.test(line.msg));

function assertNobodyKilled(s: Supervisor, pids: readonly number[]): void {
  assert.deepEqual(kills(s), []);
  assert.deepEqual(s.workers(), pids, s.describe());
}

/** Milliseconds that new connections took, one after the other, while `busy` holds. */
async function latencies(target: Target, busy: () => boolean): Promise<number[]> {
  const times: number[] = [];
  while (busy()) {
    times.push((await request(target, '/pid')).ms);
    await pause(20);
  }
  return times;
}

/** Sends a request that will never be answered; gives the pid of the worker that took it, once it is stuck. */
function stick(s: Supervisor, path = '/spin-forever?id=7'): RawSocket {
  return RawSocket.open(s.target).write(head(path));
}

describe('stuck workers', { concurrency: 4 }, () => {
  it('HB-01, HB-09: an endless loop: explained, killed, replaced; its client gets an end, the others wait for nothing', async (t) => {
    const limit = stretched(4_000);
    const s = await start(t, { args: ['--timeout', `${limit}ms`] });
    const before = s.workers();
    const socket = stick(s);
    await s.arrived();
    const others = await latencies(s.target, () => socket.ending === 'open');
    assert.notEqual(socket.ending, 'open');
    assert.equal(socket.bytes, 0, 'an answer from a loop that never ends');
    // The time counts from the last heartbeat, which may be older than the request.
    assert.ok(
      socket.ms > limit - heartbeat - 100 && socket.ms < Math.max(2.5 * limit, stretched(10_000)),
      `the client waited ${socket.ms} ms`,
    );
    others.sort((a, b) => a - b);
    t.diagnostic(`client cut after ${Math.round(socket.ms)} ms; ${others.length} others, worst ${others.at(-1)} ms`);
    assert.ok(others.length > 30, `only ${others.length} others were served meanwhile`);
    assert.ok((others.at(-1) ?? 0) < stretched(1_500), `another client waited ${others.at(-1)} ms`);

    const why = await s.waitForLog((line) => isBlocked(line) && line.level === 50);
    const place = `app.cjs:${lineOf(fixtureApp, 'for (;;);')}`;
    assert.ok(why.msg.includes(place), `${why.msg} does not name ${place}`);
    assert.match(why.msg, /serving GET \/spin-forever\?id=7 for [\d.]+ s/);
    assert.match(JSON.stringify(why.stack), /spinForever/);
    const abort = await s.waitForLog(/^worker gets SIGABRT: stuck/);
    assert.equal(abort.pid, why.pid);
    assert.ok(s.log.indexOf(why) < s.log.indexOf(abort), 'the evidence comes first');

    await until('the replacement', () => s.log.filter((line) => /^worker ready/.test(line.msg)).length === 3);
    const after = await s.waitWorkers(2);
    assert.equal(after.filter((pid) => before.includes(pid)).length, 1, 'the sibling stayed');
    assert.ok(!after.includes(Number(why.pid)));
    await stopClean(s);
  });

  it('HB-01: all workers stuck at once, on a connection each: all are replaced, the service comes back', async (t) => {
    const s = await start(t, { args: ['--timeout', `${stretched(6_000)}ms`] });
    const before = s.workers();
    const sockets: RawSocket[] = [];
    for (let stuck = 1; stuck <= before.length; stuck++) {
      sockets.push(stick(s));
      await until(`${stuck} stuck workers`, () => new Set(warnings(s).map(({ pid }) => pid)).size === stuck);
    }
    const waited = await requestJson(s.target, '/pid', { timeout: 20_000 });
    assert.ok(!before.includes(Number(waited.pid)));
    await until('the old workers to go', () => before.every((pid) => !isAlive(pid)));
    for (const socket of sockets) assert.notEqual(await socket.waitEnd(), 'open');
    await stopClean(s);
  });

  it('HB-09: a TypeScript app under tsx is named by the line of its source', async (t) => {
    const app = fixture('faults/spin.ts');
    const s = await start(t, { app, args: ['--timeout', `${stretched(4_000)}ms`, '--typescript', 'tsx'] });
    const socket = stick(s);
    const why = await s.waitForLog((line) => isBlocked(line) && line.level === 50);
    const place = `spin.ts:${lineOf(app, '// the line')}`;
    assert.ok(why.msg.includes(place), `${why.msg} does not name ${place}`);
    assert.match(why.msg, /GET \/spin-forever/);
    assert.notEqual(await socket.waitEnd(), 'open');
    await s.waitWorkers(2);
    await stopClean(s);
  });

  it('HB-09, TRC-01: the hook onWorkerAbort gets the stack and the requests', async (t) => {
    const s = await start(t, {
      config: `
        import { writeFileSync, renameSync } from 'node:fs';
        export default {
          timeout: '${stretched(4_000)}ms',
          umask: '027',
          onWorkerAbort(abort) {
            writeFileSync('abort.new', JSON.stringify(abort));
            renameSync('abort.new', 'abort.json');
          },
        };`,
    });
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { 'x-request-id': 'r-7', traceparent: `00-${trace}-00f067aa0ba902b7-01` };
    const stuckRequest = request(s.target, '/spin-forever?id=7', { headers, timeout: 30_000 });
    stuckRequest.catch(() => 'it is not answered');
    const told = await until(
      'the hook to be called',
      () => JSON.parse(readFileSync(join(s.dir, 'abort.json'), 'utf8')) as Record<string, unknown>,
      { within: 15_000 },
    );
    // What it writes has the workers' mask.
    assert.equal(statSync(join(s.dir, 'abort.json')).mode & 0o777, 0o640);
    const killed = await s.waitForLog(/^worker gets SIGABRT: stuck/);
    for (const field of ['pid', 'slot', 'worker', 'generation']) assert.equal(told[field], killed[field], field);
    assert.ok(Number(told.blockedMs) >= 4_000, String(told.blockedMs));
    const [frame] = told.stack as string[];
    assert.match(String(frame), new RegExp(`spinForever .*app\\.cjs:${lineOf(fixtureApp, 'for (;;);')}`));
    const [busy] = told.requests as { method: string; url: string; age: number; id: string; trace: string }[];
    assert.deepEqual([busy?.method, busy?.url], ['GET', '/spin-forever?id=7']);
    assert.deepEqual([busy?.id, busy?.trace], ['r-7', trace], 'by these it is found in other logs');
    assert.ok(Number(busy?.age) > 3_000);
    const line = await s.waitForLog(isBlocked);
    assert.ok(line.msg.endsWith(` s (id r-7, trace ${trace})`), line.msg);
    await assert.rejects(stuckRequest);
    await s.waitWorkers(2);
    await stopClean(s);
  });

  it('HB-09: where the stack cannot be had, the hook is called all the same, and once', async (t) => {
    const s = await start(t, {
      config: `
        import { appendFileSync, writeFileSync, renameSync } from 'node:fs';
        export default {
          timeout: '${stretched(2_000)}ms',
          onWorkerAbort(abort) {
            appendFileSync('calls', '.');
            writeFileSync('abort.new', JSON.stringify(abort));
            renameSync('abort.new', 'abort.json');
          },
        };`,
    });
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGSTOP');
    const told = await until(
      'the hook to be called',
      () => JSON.parse(readFileSync(join(s.dir, 'abort.json'), 'utf8')) as Record<string, unknown>,
      { within: 30_000 },
    );
    assert.deepEqual([told.pid, told.stack], [victim, []]);
    await s.waitWorkers(2, 30_000);
    // A stopped process does not act upon SIGABRT: SIGKILL ends it.
    await until('its end', () => !s.workers().includes(victim));
    await stays('called once', () => readFileSync(join(s.dir, 'calls'), 'utf8') === '.', 500);
    await stopClean(s);
  });

  it('HB-09: a worker that dies while its stack is taken ends nobody else', async (t) => {
    const s = await start(t, { workers: 1, args: ['--timeout', '30', '--blocked-warning', '1'] });
    // The heartbeat is half a second old at most, then the warning is due: the stack is taken around these times.
    for (const delay of [1_450, 1_500, 1_550, 1_600, 1_700, 1_800]) {
      const [victim] = await s.waitWorkers(1, 30_000);
      assert.ok(victim !== undefined);
      const since = s.log.length;
      const socket = stick(s);
      await pause(delay);
      process.kill(victim, 'SIGKILL');
      await socket.waitEnd();
      await s.waitForLog(/^worker ready in/, { since, within: 30_000 });
      assert.equal(s.exit, null);
    }
    await stopClean(s);
  });

  it('HB-09: a hook that throws is one line; the worker is replaced all the same', async (t) => {
    const s = await start(t, {
      config: `export default { timeout: '${stretched(2_000)}ms', onWorkerAbort() { throw new Error('the pager is down'); } };`,
    });
    const socket = stick(s);
    const line = await s.waitForLog(/onWorkerAbort/);
    assert.match(line.msg, /the pager is down/);
    assert.equal(line.level, 50);
    assert.notEqual(await socket.waitEnd(), 'open');
    await s.waitWorkers(2);
    await stopClean(s);
  });

  it('HB-09: a block of a second is worth one warning a minute, and no kill', async (t) => {
    const s = await start(t, { workers: 1, args: ['--timeout', `${stretched(30_000)}ms`] });
    const pids = s.workers();
    // Three of them in less than a minute, in which there is one warning.
    const block = Math.min(15_000, stretched(4_000));
    for (let round = 0; round < 3; round++) {
      const answer = await requestJson(s.target, `/spin?ms=${block}&id=${round}`, { timeout: 15_000 });
      assert.equal(answer.pid, pids[0]);
    }
    const seen = warnings(s);
    assert.equal(seen.length, 1, s.describe());
    const [warning] = seen;
    assert.ok(warning !== undefined);
    const line = lineOf(fixtureApp, 'while (performance.now() < end);');
    assert.match(warning.msg, new RegExp(`app\\.cjs:${line}`));
    assert.match(warning.msg, new RegExp(`serving GET /spin\\?ms=${block}&id=0`));
    assert.ok(Number(warning.blockedMs) >= 1_000 && Number(warning.blockedMs) < block, String(warning.blockedMs));
    assertNobodyKilled(s, pids);
    await stopClean(s);
  });

  it('HB-09: --blocked-warning 0 and --timeout 0: silence, whatever a worker does', async (t) => {
    const s = await start(t, { workers: 1, args: ['--timeout', '0', '--blocked-warning', '0'] });
    const pids = s.workers();
    await requestJson(s.target, '/spin?ms=3500');
    assert.deepEqual(s.log.filter(isBlocked), []);
    assertNobodyKilled(s, pids);
    await stopClean(s);
  });

  it('HB-02: a long asynchronous request is not killed', async (t) => {
    const limit = stretched(2_000);
    const s = await start(t, { args: ['--timeout', `${limit}ms`] });
    const pids = s.workers();
    const answer = await requestJson(s.target, `/slow?ms=${3 * limit}`, { timeout: 5 * limit });
    assert.ok(pids.includes(Number(answer.pid)));
    assert.deepEqual(s.log.filter(isBlocked), []);
    assertNobodyKilled(s, pids);
    await stopClean(s);
  });

  it('HB-03: idle workers are not killed', async (t) => {
    const limit = stretched(2_000);
    const s = await start(t, { args: ['--timeout', `${limit}ms`] });
    const pids = s.workers();
    await stays('the same workers', () => String(s.workers()) === String(pids), 3 * limit);
    assertNobodyKilled(s, pids);
    await stopClean(s);
  });

  it('HB-04: a stopped worker is replaced; nobody waits longer than the timeout, and the master does not grow', async (t) => {
    const limit = stretched(2_000);
    const s = await start(t, { args: ['--timeout', `${limit}ms`] });
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    const rss = residentSize(s.pid);
    const stoppedAt = performance.now();
    process.kill(victim, 'SIGSTOP');
    const sockets = Array.from({ length: 20 }, () =>
      RawSocket.open(s.target).write(head('/pid', { Connection: 'close' })),
    );
    await until('the worker to be killed', () => !isAlive(victim), { within: Math.max(8_000, 3 * limit) });
    const took = performance.now() - stoppedAt;
    assert.ok(took > 0.7 * limit && took < Math.max(3 * limit, stretched(6_000)), `it took ${took} ms`);
    const endings = await Promise.all(sockets.map((socket) => socket.waitEnd(2_000)));
    assert.ok(!endings.includes('open'), `somebody hangs: ${endings.join(' ')}`);
    const answered = sockets.filter((socket) => socket.responses === 1).length;
    t.diagnostic(`killed after ${Math.round(took)} ms; ${answered} of 20 answered`);
    assert.ok(answered > 0);
    const why = await s.waitForLog((line) => isBlocked(line) && line.level === 50);
    assert.match(why.msg, /stopped/);
    assert.equal(why.pid, victim);
    await s.waitWorkers(2);
    const grown = residentSize(s.pid) - rss;
    assert.ok(grown < 20e6, `the master grew by ${grown} bytes`);
    await stopClean(s);
  });

  it('HB-05: the master stopped for longer than the timeout, twice, under load: no worker is killed', async (t) => {
    const limit = stretched(2_000);
    const s = await start(t, { args: ['--timeout', `${limit}ms`] });
    const pids = s.workers();
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'idle', clients: 8 },
        { kind: 'fresh', clients: 2, think: 20 },
      ],
    });
    await load.answered(50);
    for (let round = 0; round < 2; round++) {
      s.signal('SIGSTOP');
      try {
        await pause(1.5 * limit);
        await load.further(20);
      } finally {
        s.signal('SIGCONT');
      }
      await stays('the same workers', () => String(s.workers()) === String(pids), limit);
    }
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    assertNobodyKilled(s, pids);
    await stopClean(s);
  });

  for (const [name, ms] of [
    ['+1 h', 3_600_000],
    ['-1 h', -3_600_000],
    ['+10 years', 315_360_000_000],
  ] as const) {
    it(`HB-06: the wall clock jumps by ${name} in master and workers: nothing happens`, async (t) => {
      const limit = stretched(2_000);
      const s = await start(t, {
        args: ['--timeout', `${limit}ms`],
        // What NODE_OPTIONS preloads does not stay in the master.
        nodeArgs: ['--require', fixture('faults/warp.cjs')],
        env: { NODE_OPTIONS: `--require ${fixture('faults/warp.cjs')}`, WARP_MS: String(ms) },
      });
      const pids = s.workers();
      await until('the jump', () =>
        [s.pid, ...pids].every((pid) => {
          const seen = Number(readFileSync(join(s.dir, `warped.${pid}`), 'utf8'));
          return seen > 0 && Math.abs(seen - Date.now() - ms) < 60_000;
        }),
      );
      await stays('the same workers', () => String(s.workers()) === String(pids), 2 * limit);
      assertNobodyKilled(s, pids);
      // Timers still run: a crash is made good, a reload and a stop end.
      const [victim] = pids;
      assert.ok(victim !== undefined);
      process.kill(victim, 'SIGKILL');
      await until('the replacement', () => s.workers().length === 2 && !s.workers().includes(victim));
      assert.match((await s.reload()).msg, /done/);
      await stopClean(s);
    });
  }

  it('HB-08: work of 0.8 of the timeout, again and again, is not killed', async (t) => {
    const limit = stretched(3_000);
    const s = await start(t, { workers: 1, args: ['--timeout', `${limit}ms`] });
    const pids = s.workers();
    for (let round = 0; round < 4; round++) {
      const answer = await requestJson(s.target, `/spin?ms=${0.8 * limit}`, { timeout: 3 * limit }).catch(
        (error: unknown) => error,
      );
      assert.equal((answer as { pid?: unknown }).pid, pids[0], `${String(answer)}\n${s.describe()}`);
    }
    assertNobodyKilled(s, pids);
    await stopClean(s);
  });
});
