/** Catalogue group CFG, where it meets a running service: what a HUP makes of a config, good or bad. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stopClean } from '../../support/invariants.ts';
import { startLoad } from '../../support/load/child.ts';
import { table, total } from '../../support/load/mix.ts';
import { requestJson } from '../../support/request.ts';
import { startSupervisor, writeConfig } from '../../support/supervisor.ts';

const misbehaviours: Readonly<Record<string, string>> = {
  'a syntax error': 'export default {',
  'half a file': 'export default { workers: 2, env: { VERSION: "x',
  'a throw': 'throw new Error("no secrets here");',
  'process.exit(0)': 'process.exit(0);',
  'no default export': 'export const workers = 2;',
  'a wrong value': 'export default { workers: -1 };',
  'an unknown setting': 'export default { graceful_timeout: 3 };',
};

test('CFG-02 a config that misbehaves at HUP: the master lives, the old workers serve, the reload is reported failed', async (t) => {
  const s = await startSupervisor(t, { config: { workers: 2 } });
  await s.waitForLog(/^ready/);
  const before = await s.waitWorkers(2);
  const path = join(s.dir, 'supervisor.config.mjs');
  const load = startLoad(t, {
    target: s.target,
    groups: [
      { kind: 'busy', clients: 2 },
      { kind: 'fresh', clients: 1 },
    ],
  });
  await load.answered(100);
  let reload = 0;
  for (const [what, text] of Object.entries(misbehaviours)) {
    writeFileSync(path, text);
    reload += 1;
    s.signal('SIGHUP');
    const line = await s.waitForLog(new RegExp(`^reload ${reload} (failed|done)`));
    assert.match(line.msg, /failed, nothing was changed: .*supervisor\.config\.mjs/, what);
  }
  rmSync(path);
  reload += 1;
  s.signal('SIGHUP');
  await s.waitForLog(new RegExp(`^reload ${reload} failed, nothing was changed: .*does not exist`));
  assert.deepEqual((await s.waitWorkers(2)).sort(), before.sort());

  writeConfig(path, { workers: 3 });
  s.signal('SIGHUP');
  await s.waitForLog(new RegExp(`^reload ${reload + 1} done`));
  await s.waitWorkers(3);
  const report = await load.stop();
  assert.equal(total(report).failed, 0, table(report));
  await stopClean(s);
});

test('CFG-03 CFG-05 a HUP takes over what changed, also in a helper module, and drops what was removed', async (t) => {
  const s = await startSupervisor(t, {
    app: null,
    bind: null,
    args: ['--version'],
  });
  await s.waitExit();
  const helper = join(s.dir, 'helper.mjs');
  const path = join(s.dir, 'supervisor.config.mjs');
  writeFileSync(helper, "export const env = { VERSION: 'one', EXTRA: 'there' };");
  writeFileSync(path, "import { env } from './helper.mjs';\nexport default { workers: 1, env, logLevel: 'info' };");
  const service = await startSupervisor(t, { args: ['-c', path] });
  await service.waitForLog(/^ready/);
  const first = (await requestJson(service.target, '/env')) as { version: string; env: Record<string, string> };
  assert.deepEqual([first.version, first.env.EXTRA], ['one', 'there']);

  writeFileSync(helper, "export const env = { VERSION: 'two' };");
  writeFileSync(path, "import { env } from './helper.mjs';\nexport default { workers: 2, env, logLevel: 'debug' };");
  service.signal('SIGHUP');
  await service.waitForLog(/^reload 1 done/);
  const second = (await requestJson(service.target, '/env')) as { version: string; env: Record<string, string> };
  assert.deepEqual([second.version, second.env.EXTRA], ['two', undefined]);
  await service.waitWorkers(2);
  await stopClean(service);
});
