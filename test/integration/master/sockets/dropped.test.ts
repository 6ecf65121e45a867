/** An address that a reload drops: who connects to it meanwhile is answered or refused, and nobody is reset. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { supportsReusePort } from '../../../../src/system/node-internals.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import { freePort, type Target } from '../../../support/request.ts';
import { startSupervisor, writeConfig } from '../../../support/supervisor.ts';

const drops = 3;

/** Drops an address by a reload while clients connect to it as fast as they can, and to the one that stays. */
async function dropUnderLoad(t: TestContext, config: Readonly<Record<string, unknown>>): Promise<void> {
  const [kept, dropped] = [await freePort(), await freePort()];
  const at = (port: number): string => `127.0.0.1:${port}`;
  const s = await startSupervisor(t, {
    workers: 3,
    bind: null,
    config: { ...config, bind: [at(kept), at(dropped)] },
  });
  await s.waitReady(30_000);
  const fresh = (port: number, clients: number) => {
    const target: Target = { port };
    return startLoad(t, { target, groups: [{ kind: 'fresh', clients, think: 4 }] });
  };
  const [staying, leaving] = [fresh(kept, 4), fresh(dropped, 24)];
  await leaving.answered(300);
  writeConfig(join(s.dir, 'supervisor.config.mjs'), { ...config, bind: [at(kept)] });
  s.signal('SIGHUP');
  await s.waitForLog(/^reload 1 done/, { within: 30_000 });
  await staying.further(20);
  const [ofStaying, ofLeaving] = [await staying.stop(), await leaving.stop()];
  const [stayed, left] = [total(ofStaying), total(ofLeaving)];
  stayed.assertComplete();
  left.assertComplete();
  assert.equal(stayed.failed, 0, table(ofStaying));
  assert.ok(left.failedAs('refused') > 0, 'the load ended before the reload');
  assert.equal(left.failed, left.failedAs('refused'), `${table(ofLeaving)}\n${left.details.join('\n')}`);
  await stopClean(s, { ports: [kept, dropped] });
}

describe('BIND-09: an address that a reload drops, under a load of new connections', () => {
  const ways: readonly [string, Readonly<Record<string, unknown>>, boolean][] = [
    ['a shared queue', {}, true],
    ['a queue for each worker', { queues: 'per-worker' }, supportsReusePort()],
    ['several workers replaced at a time', { maxSurge: 3 }, true],
  ];
  for (const [what, config, isPossible] of ways) {
    test(what, { skip: !isPossible }, async (t) => {
      for (let count = 0; count < drops; count++) await dropUnderLoad(t, config);
    });
  }
});
