/** Workers that end themselves, or will not end: what their clients and the others saw, and what is left behind. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertQueueIsLong } from '../../support/backlog.ts';
import { app, assertFew, outcome, replaced, start, withLoad } from '../../support/faults.ts';
import { assertClean, stopClean } from '../../support/invariants.ts';
import { startLoad } from '../../support/load/child.ts';
import { isAlive } from '../../support/proc.ts';
import { requestJson } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

describe('workers that end themselves', { concurrency: 3 }, () => {
  for (const [name, path, exit, said] of [
    ['exits with 0', '/exit?code=0', /^worker exited unasked \(code 0\) while it served/, null],
    ['throws in a request', '/throw', /^worker exited unasked \(code 1\)/, /thrown where nobody catches it/],
    ['rejects and does not handle it', '/reject', /^worker exited unasked \(code 1\)/, /rejected where nobody handles/],
  ] as const) {
    it(`CRASH: a worker that ${name}: its client gets an end, the others lose no more than was inside it`, async (t) => {
      const s = await start(t);
      const load = withLoad(t, s);
      await load.answered(50);
      const ended = await outcome(s, path);
      assert.equal(ended, 'ECONNRESET');
      const line = await s.waitForLog(exit);
      await replaced(s, [Number(line.pid)]);
      await load.further(50);
      // One request of each client can have been in that worker.
      await assertFew(load, 10);
      if (said !== null) assert.match(s.stderr.text, said);
      await stopClean(s, { allow: /./ });
    });
  }

  it('CRASH: a worker that runs out of memory under --node-arg --max-old-space-size', async (t) => {
    const s = await start(t, { app, args: ['--node-arg=--max-old-space-size=32'] });
    const load = withLoad(t, s);
    await load.answered(50);
    assert.equal(await outcome(s, '/leak-heap'), 'ECONNRESET');
    const line = await s.waitForLog(/^worker exited unasked \(SIG(ABRT|TRAP|ILL)\)/);
    await replaced(s, [Number(line.pid)]);
    await load.further(50);
    await assertFew(load, 10);
    assert.match(s.stderr.text, /heap out of memory/i);
    await stopClean(s, { allow: /./ });
  });

  it('DRAIN: an app that ignores SIGTERM leaves all the same, at once', async (t) => {
    const s = await start(t, { app, env: { APP_TERM: 'ignore' } });
    const load = withLoad(t, s);
    await load.answered(50);
    assert.match((await s.reload()).msg, /done/);
    await load.further(50);
    await assertFew(load, 0);
    const { ms } = await s.stop();
    assert.ok(ms < stretched(6_000), `the stop took ${ms} ms`);
    await assertClean(s);
  });

  it('DRAIN: an app that blocks in its SIGTERM handler is killed at the limit; a reload costs nobody a request', async (t) => {
    const s = await start(t, { app, env: { APP_TERM: 'block' }, args: ['--graceful-timeout', '2'] });
    const load = withLoad(t, s);
    await load.answered(50);
    const before = s.workers();
    assert.match((await s.reload()).msg, /done/);
    await until('the old workers to go', () => before.every((pid) => !isAlive(pid)), { within: 15_000 });
    await load.further(50);
    await assertFew(load, 0);
    const { ms } = await s.stop();
    assert.ok(ms < stretched(8_000), `the stop took ${ms} ms`);
    await assertClean(s);
  });

  it('IPC: a worker that closes its channel is replaced', async (t) => {
    const s = await start(t, { app });
    const load = withLoad(t, s);
    await load.answered(50);
    const { pid } = await requestJson(s.target, '/disconnect');
    await until('the worker to go', () => !isAlive(Number(pid)), { within: 15_000 });
    await replaced(s, [Number(pid)]);
    await load.further(50);
    await assertFew(load, 0);
    await assertQueueIsLong(s);
    await stopClean(s);
  });

  it('APP: an app that closes its server by itself: its worker is replaced, the service is not away', async (t) => {
    const s = await start(t, { app });
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'fresh', clients: 3, think: 20 }] });
    await load.answered(50);
    const { pid } = await requestJson(s.target, '/close-server');
    await until('the worker to go', () => !isAlive(Number(pid)), { within: 15_000 });
    await replaced(s, [Number(pid)]);
    await load.further(50);
    await assertFew(load, 3);
    await stopClean(s);
  });

  it('APP: an app that listens twice fails as it does under node, and says why', async (t) => {
    const s = await startSupervisor(t, { app, workers: 2, env: { LISTEN: 'twice' } });
    const exit = await s.waitExit();
    assert.notEqual(exit.code, 0);
    assert.match(s.stderr.text, /ERR_SERVER_ALREADY_LISTEN|EADDRINUSE/);
    await assertClean(s, { code: exit.code, allow: /./ });
  });
});
