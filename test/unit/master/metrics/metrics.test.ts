/** The page of metrics as it is asked for, and the counts as they pass from one master to the next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Counted } from '../../../../src/master/metrics/counted.ts';
import { Metrics } from '../../../../src/master/metrics/metrics.ts';
import type { Status } from '../../../../src/protocol/status.ts';
import { readExposition, sumOf } from '../../../support/exposition.ts';
import { counter, delta, gauge } from '../../../support/reported-metrics.ts';

function newMetrics(onStatus: () => void = () => {}): Metrics {
  const status = { listeners: [], workers: [] };
  return new Metrics({
    status: () => {
      onStatus();
      return status as unknown as Status;
    },
    isCounting: () => true,
    lostLines: () => ({ log: 0, access: 0 }),
  });
}

async function total(metrics: Metrics, name: string): Promise<number> {
  return sumOf(readExposition((await metrics.page()).text), name);
}

test('requests for the page at one time share it, each format its own; later ones get a new one', async () => {
  let made = 0;
  const metrics = newMetrics(() => (made += 1));
  const open = 'application/openmetrics-text; version=1.0.0';
  const pages = await Promise.all([undefined, '*/*', open, open, 'text/plain'].map((accept) => metrics.page(accept)));
  assert.equal(made, 2);
  assert.deepEqual(
    pages.map(({ type }) => type.startsWith('application/openmetrics-text')),
    [false, false, true, true, false],
  );
  await metrics.page();
  assert.equal(made, 3);
});

test('another master goes on from all that was counted, and from what is added until the end', async () => {
  const [old, heir] = [newMetrics(), newMetrics()];
  old.onTraffic(delta('/a', 3));
  old.onAppMetrics(1, [counter(5), gauge(2)]);
  old.onAppMetrics(2, [counter(1)]);
  old.forget(2);
  // The same id is another worker there.
  heir.onAppMetrics(1, [counter(100), gauge(4)]);
  old.bequeath((counted) => heir.inherit(JSON.parse(JSON.stringify(counted)) as Counted));
  assert.equal(await total(heir, 'http_requests_total'), 3);
  assert.equal(await total(heir, 'jobs_total'), 106);
  assert.equal(await total(heir, 'depth'), 6);

  old.onTraffic(delta('/a', 4));
  old.onAppMetrics(1, [counter(7), gauge(2)]);
  assert.equal(await total(heir, 'http_requests_total'), 7);
  assert.equal(await total(heir, 'jobs_total'), 108);
  old.forget(1);
  assert.equal(await total(heir, 'jobs_total'), 108);
  assert.equal(await total(heir, 'depth'), 4);

  old.bequeath(null);
  old.onTraffic(delta('/a', 50));
  assert.equal(await total(heir, 'http_requests_total'), 7);
});

test('when the other master is gone, its workers are too: their counters stay, their gauges do not', async () => {
  const metrics = newMetrics();
  metrics.inherit({ kind: 'app', id: 1, metrics: [counter(5), gauge(2)] });
  metrics.onAppMetrics(1, [counter(1), gauge(1)]);
  assert.equal(await total(metrics, 'depth'), 3);
  metrics.inherit(null);
  assert.equal(await total(metrics, 'jobs_total'), 6);
  assert.equal(await total(metrics, 'depth'), 1);
});
