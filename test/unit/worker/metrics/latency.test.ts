/** Percentiles of the last seconds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Latency } from '../../../../src/worker/metrics/latency.ts';

describe('latency', () => {
  it('is told within its steps, and forgotten', () => {
    const latency = new Latency();
    assert.equal(latency.percentiles([0.5]), null);
    for (let ms = 1; ms <= 100; ms++) latency.record(ms);
    const [p50 = 0, p99 = 0] = latency.percentiles([0.5, 0.99]) ?? [];
    assert.ok(p50 >= 50 && p50 < 55 && p99 >= 99 && p99 < 109, `${p50} ${p99}`);
    for (let beat = 0; beat < 20; beat++) latency.turn();
    assert.equal(latency.percentiles([0.5]), null);
    latency.record(1e12);
    latency.record(0);
    assert.ok((latency.percentiles([0.5])?.[0] ?? 0) > 0);
  });
});
