/** Catalogue groups CON and SCL: signals on top of each other, and the size of the pool. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClean, stopClean } from '../../support/invariants.ts';
import { startLoad } from '../../support/load/child.ts';
import { fourKinds, table, total } from '../../support/load/mix.ts';
import { requestJson } from '../../support/request.ts';
import { type Supervisor, startSupervisor, writeConfig } from '../../support/supervisor.ts';
import { pause, stays, until } from '../../support/until.ts';

const count = (s: Supervisor, pattern: RegExp) => s.log.filter(({ msg }) => pattern.test(msg)).length;

test('CON-01 fifty HUPs in 100 ms: one reload and one more after it', async (t) => {
  const s = await startSupervisor(t, { workers: 2 });
  await s.waitForLog(/^ready/);
  for (let i = 0; i < 50; i += 1) {
    s.signal('SIGHUP');
    await pause(2);
  }
  await s.waitForLog(/^reload 2 done/, { within: 20_000 });
  await stays('no third reload', () => count(s, /^reload \d+ started/) <= 2, 500);
  assert.equal(count(s, /^reload \d+ done/), 2);
  assert.ok(count(s, /^worker spawned/) <= 2 + 2 * 2);
  await s.waitWorkers(2);
  await stopClean(s);
});

test('CON-02 a HUP while the new generation boots: in the end the last config runs everywhere', async (t) => {
  const config = (version: string) => ({ env: { VERSION: version } });
  const s = await startSupervisor(t, { workers: 3, config: config('one'), env: { BOOT: 'slow:300' } });
  const path = join(s.dir, 'supervisor.config.mjs');
  await s.waitForLog(/^ready/);
  writeConfig(path, config('two'));
  s.signal('SIGHUP');
  await s.waitForLog(/^worker spawned/, { since: s.log.length });
  writeConfig(path, config('three'));
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 2 done/, { within: 30_000 });
  await s.waitWorkers(3, 20_000);
  for (let i = 0; i < 20; i += 1) assert.equal((await requestJson(s.target, '/version')).version, 'three');
  await stopClean(s);
});

test('CON-03 CON-04 TERM at any moment of a reload stops; a HUP after it is ignored', async (t) => {
  for (const delay of [10, 60, 120, 200, 300, 450, 600, 900]) {
    const s = await startSupervisor(t, { workers: 2 });
    await s.waitForLog(/^ready/);
    s.signal('SIGHUP');
    await pause(delay);
    const since = s.log.length;
    s.signal('SIGTERM');
    s.signal('SIGHUP');
    await s.waitExit(5_000);
    const stopping = s.log.findIndex(({ msg }, index) => index >= since && msg.startsWith('stopping'));
    const later = s.log.slice(stopping).filter(({ msg }) => msg.startsWith('worker spawned'));
    assert.deepEqual(later, [], `after ${delay} ms`);
    await assertClean(s, { allow: /reload \d+ failed/ });
  }
});

test('CON-05 TTIN and TTOU in the middle of a reload; HUP returns to the configured number', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--max-workers', '8'] });
  await s.waitForLog(/^ready/);
  s.signal('SIGTTIN');
  await s.waitWorkers(3);
  s.signal('SIGTTIN');
  await s.waitWorkers(4);
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 1 done/);
  await s.waitWorkers(2);
  s.set('boot', 'slow:400');
  s.signal('SIGHUP');
  await s.waitForLog(/first worker of generation 3/);
  s.signal('SIGTTIN');
  await s.waitForLog(/^reload 2 done/);
  await s.waitWorkers(3);
  await stopClean(s);
});

test('SCL-01 TTIN and TTOU: one more, one less, never below one', async (t) => {
  const s = await startSupervisor(t, { workers: 2 });
  await s.waitForLog(/^ready/);
  s.signal('SIGTTIN');
  await s.waitWorkers(3);
  for (const size of [2, 1]) {
    s.signal('SIGTTOU');
    await s.waitWorkers(size);
  }
  s.signal('SIGTTOU');
  await s.waitForLog(/never less than one/);
  await stays('one worker', () => s.workers().length === 1, 300);
  await stopClean(s);
});

test('SCL-02 200 TTIN end at the ceiling, 500 TTOU at one', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--max-workers', '6'] });
  await s.waitForLog(/^ready/);
  for (let i = 0; i < 200; i += 1) {
    s.signal('SIGTTIN');
    if (i % 10 === 0) await pause(1);
  }
  await until('the ceiling', () => count(s, /maxWorkers is 6/) > 0);
  await s.waitWorkers(6);
  for (let i = 0; i < 500; i += 1) {
    s.signal('SIGTTOU');
    if (i % 10 === 0) await pause(1);
  }
  await s.waitWorkers(1);
  await stopClean(s);
});

test('SCL-03 TTIN and TTOU storms under four kinds of client: nothing fails', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--max-workers', '5'] });
  await s.waitForLog(/^ready/);
  const load = startLoad(t, { target: s.target, groups: fourKinds });
  await load.answered(500);
  const end = performance.now() + 12_000;
  for (let i = 0; performance.now() < end; i += 1) {
    s.signal(i % 4 < 2 ? 'SIGTTIN' : 'SIGTTOU');
    await pause(150);
  }
  const report = await load.stop();
  t.diagnostic(table(report));
  const { sent, answered, failed } = total(report);
  assert.equal(sent, answered + failed);
  assert.equal(failed, 0);
  assert.equal(answered, sent);
  await stopClean(s);
});
