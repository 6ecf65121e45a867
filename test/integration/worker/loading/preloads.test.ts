/** What the app has Node preload (an exporter, a tracer) may listen as well, and does not pass for the app. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const exporter = fixture('worker/with space/exporter.cjs');
const late = fixture('worker/listens-late.cjs');
/** Node 22.15 can start a program in the same process. */
const canStepAside = 'execve' in process;

describe('preloads that listen', () => {
  for (const app of ['listens-late.cjs', 'exported.cjs']) {
    it(`APP: by nodeArgs, and ${app}: both are served, and the worker is not ready before the app`, async (t) => {
      const metrics = await freePort();
      const s = await startSupervisor(t, {
        app: fixture(`worker/${app}`),
        workers: 2,
        env: { METRICS_PORT: String(metrics) },
        config: { nodeArgs: ['--require', exporter] },
      });
      await s.waitForLog(/^ready/);
      assert.equal((await request(s.target, '/')).status, 200);
      const { body } = await request({ port: metrics }, '/');
      const [, pid] = /^metrics of (\d+)$/.exec(body) ?? [];
      assert.ok(s.workers().includes(Number(pid)), body);
      await stopClean(s);
    });
  }

  it('APP: by NODE_OPTIONS: a worker is asked; where the master cannot do without it, that is said', async (t) => {
    const metrics = await freePort();
    const options = `--no-warnings --require "${exporter}"`;
    const env = { METRICS_PORT: String(metrics), NODE_OPTIONS: options };
    const s = await startSupervisor(t, { app: late, workers: 2, env });
    await s.waitForLog(/^ready/);
    const told = await requestJson(s.target, '/');
    // Nothing of ours is left in what the app sees.
    assert.equal(told.options, options);
    assert.deepEqual(told.execArgv, []);
    const { body } = await request({ port: metrics }, '/');
    const pid = Number(/^metrics of (\d+)$/.exec(body)?.[1]);
    if (canStepAside) {
      assert.ok(s.workers().includes(pid), body);
      assert.ok(!s.log.some(({ msg }) => msg.includes('NODE_OPTIONS')));
    } else {
      assert.equal(pid, s.pid);
      await s.waitForLog(/^what NODE_OPTIONS has Node load runs in the master as well/);
      await until('the workers to be refused', () => s.stdout.text.split('EADDRINUSE').length > 2);
      for (const worker of s.workers())
        assert.match(s.stdout.text, new RegExp(`exporter ${worker}: listen EADDRINUSE`));
    }
    await stopClean(s, { allow: /cannot bind/ });
  });
});
