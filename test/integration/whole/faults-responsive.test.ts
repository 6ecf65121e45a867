/** SEC-08: a worker that says too much costs itself, never the master's time or memory. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { app, start } from '../../support/faults.ts';
import { stopClean } from '../../support/invariants.ts';
import { residentSize } from '../../support/proc.ts';
import { request } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';

/** Milliseconds in which the control socket answers, whatever a worker says. */
const promptly = 200;

describe('SEC-08: while a worker floods it, the master', () => {
  const floods = [
    'huge',
    'large',
    'endless',
    'endless-metrics',
    'deep',
    'pieces',
    'errors',
    'flood',
    'channel-endless',
  ];
  for (const say of floods) {
    it(`answers promptly, and stays as small as it was: ${say}`, async (t) => {
      const s = await start(t, { app, workers: 2, args: ['--control-socket', 'app.ctl'] });
      const control = { socketPath: join(s.dir, 'app.ctl') };
      const idle = [];
      for (let count = 0; count < 10; count++) idle.push((await request(control, '/status')).ms);
      const rss = residentSize(s.pid);
      let largest = rss;
      const times: number[] = [];
      const end = performance.now() + 3_000;
      // Each worker that comes after it does it again.
      let isSaying = false;
      while (performance.now() < end) {
        if (!isSaying) {
          isSaying = true;
          void request(s.target, `/ipc?say=${say}`, { timeout: 5_000 })
            .catch(() => null)
            .finally(() => {
              isSaying = false;
            });
        }
        times.push((await request(control, '/status')).ms);
        largest = Math.max(largest, residentSize(s.pid));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      times.sort((a, b) => a - b);
      const slowest = times.at(-1) ?? 0;
      const p95 = times[Math.floor(times.length * 0.95)] ?? 0;
      t.diagnostic(
        `${say}: ${times.length} answers, p95 ${p95.toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms; ` +
          `idle ${Math.max(...idle).toFixed(0)} ms; ${((largest - rss) / 1e6).toFixed(0)} MB more`,
      );
      assert.ok(p95 < stretched(promptly), `p95 ${p95} ms`);
      assert.ok(slowest < stretched(5 * promptly), `slowest ${slowest} ms`);
      assert.ok(largest - rss < 120e6, `${largest - rss} bytes more`);
      assert.equal(s.exit, null);
      await stopClean(s, { allow: /./ });
    });
  }
});
