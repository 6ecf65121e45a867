/** Catalogue group AUTO: the pool follows its load, and no client notices. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import { stretched } from '../../../support/slowness.ts';
import { startSupervisor } from '../../../support/supervisor.ts';

it('AUTO-01 AUTO-03 it grows under load, keeps its size over a reload, and shrinks when the load is gone', async (t) => {
  const s = await startSupervisor(t, { config: { workers: { min: 1, max: 3 } }, args: ['-p', 'app.pid'] });
  await s.waitReady();
  const of = ['--pid', join(s.dir, 'app.pid')];
  const load = startLoad(t, { target: s.target, groups: [{ kind: 'busy', clients: 6, path: '/spin?ms=5' }] });
  const within = stretched(60_000);
  await s.waitForLog(/^workers: 1 -> 2: event loops are \d+ % busy$/, { within });
  await s.waitForLog(/^workers: 2 -> 3: event loops are \d+ % busy$/, { within });
  await s.waitWorkers(3);
  assert.match((await s.reload()).msg, /^reload 1 done/);
  await s.waitWorkers(3);
  const { stdout } = await runCommand(['status', ...of]);
  assert.match(stdout, /^ {2}workers follow the load, 1 to 3; last 2 -> 3, .* ago: event loops are \d+ % busy$/m);
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, table(report));
  await s.waitForLog(/^workers: 3 -> 2: event loops are \d+ % busy$/, { within });
  await s.waitWorkers(2);
  const refused = await runCommand(['scale', '4', ...of]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^prefork: expected from 1 to 3 workers \(workers\), got 4$/m);
  assert.match((await runCommand(['scale', '1', ...of])).stdout, /^1 workers from now on, until the load asks for/);
  await s.waitForLog(/^workers: 2 -> 1: asked for by an operator$/);
  await s.waitWorkers(1);
  await stopClean(s);
});
