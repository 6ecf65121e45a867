/** Servers that prefork cannot have: past node:net, and in the app's threads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { supportsReusePort } from '../../../src/system/node-internals.ts';
import { stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { freePort, request } from '../../support/request.ts';
import { startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';
import { spawn } from '../../support/worker-harness.ts';

describe('servers elsewhere', () => {
  it('APP: a native server is named, with what to do', async () => {
    const port = await freePort();
    const worker = spawn({ app: 'worker/native.cjs', env: { NATIVE_PORT: String(port) } });
    await until('the warning', () => worker.output.includes('PREFORK_NATIVE_SERVER'), { within: 20_000 });
    assert.match(worker.output, new RegExp(`the app listens on port ${port}, but not through Node's net`));
    assert.equal(worker.all('ready').length, 0);
  });

  it('APP: a server in a thread is shared by the threads of all workers, or it is said why not', async (t) => {
    const metrics = await freePort();
    const s = await startSupervisor(t, {
      app: fixture('worker/thread-listens.cjs'),
      workers: 2,
      env: { METRICS_PORT: String(metrics) },
    });
    if (!supportsReusePort()) {
      await until('the line', () => s.stderr.text.includes('PREFORK_THREAD_LISTENS'), { within: 20_000 });
      assert.match(s.stderr.text, new RegExp(`port ${metrics} is in use, maybe by the same thread of another worker`));
      s.signal('SIGTERM');
      await s.waitExit(20_000);
      return;
    }
    await s.waitForLog(/^ready/);
    const serves = async (): Promise<string> => (await request({ port: metrics }, '/')).body;
    await until('the threads', () =>
      serves().then(
        (body) => body === 'metrics',
        () => false,
      ),
    );
    assert.match((await s.reload()).msg, /done/);
    await until('the threads of the new workers', () =>
      serves().then(
        (body) => body === 'metrics',
        () => false,
      ),
    );
    assert.equal((await request(s.target, '/')).body, 'main');
    assert.ok(!s.log.some(({ msg }) => /crashed|exited with code/.test(msg)), s.describe());
    await stopClean(s);
  });
});
