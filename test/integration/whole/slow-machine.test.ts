/** HB-07: a machine that has too much to do makes everything slow, and nobody is taken for stuck. */
// Runs alone: it makes the machine slow for everything else.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { startLoad } from '../../support/load/child.ts';
import { table, total } from '../../support/load/mix.ts';
import { startSupervisor } from '../../support/supervisor.ts';

test('HB-07: eight busy loops beside ten workers: no false timeout at the default settings', async (t) => {
  const loops = Array.from({ length: 8 }, () => spawn('/bin/sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
  t.after(() => loops.map((loop) => loop.kill('SIGKILL')));
  const s = await startSupervisor(t, { workers: 10 });
  await s.waitReady(120_000);
  const load = startLoad(t, { target: s.target, groups: [{ kind: 'idle', clients: 4, timeout: 60_000 }] });
  await load.answered(10);
  const verdict = await s.reload(180_000);
  assert.match(verdict.msg, /^reload 1 done/);
  await load.further(10);
  const report = await load.stop();
  assert.equal(total(report).failed, 0, table(report));
  assert.deepEqual(
    s.log.filter(({ msg }) => /^worker (gets|exited|broke)/.test(msg)).map(({ msg }) => msg),
    [],
  );
  t.diagnostic(`${verdict.msg}\n${table(report)}`);
  await s.stop('SIGTERM', 60_000);
});
