/** What statsd gets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { datagrams, StatsdLines } from '../../../../src/master/metrics/statsd-lines.ts';
import { TrafficTotals } from '../../../../src/master/metrics/traffic.ts';
import { delta } from '../../../support/reported-metrics.ts';

describe('statsd', () => {
  const settings = { statsd: null, statsdPrefix: 'shop', statsdTags: {} };

  it('tells what was added, once', () => {
    const lines = new StatsdLines();
    const totals = new TrafficTotals();
    totals.add(delta('/a/:id', 3));
    const first = lines.lines(totals.families(), settings);
    assert.ok(first.includes('shop.requests:3|c'), first.join('\n'));
    assert.ok(first.includes('shop.request.status.200:3|c'));
    assert.ok(first.includes('shop.http_requests_total.GET.200.a_id:3|c'));
    assert.deepEqual(lines.lines(totals.families(), settings), ['shop.workers:0|g']);
  });

  it('tells nothing of what another master has told, and all of its own that it had not told by then', () => {
    const lines = new StatsdLines();
    const totals = new TrafficTotals();
    totals.add(delta('/a/:id', 3));
    lines.skip(
      () => totals.add(delta('/a/:id', 40)),
      () => totals.families(),
      settings,
    );
    const told = lines.lines(totals.families(), settings);
    assert.ok(told.includes('shop.requests:3|c'), told.join('\n'));
    assert.ok(told.includes('shop.http_requests_total.GET.200.a_id:3|c'), told.join('\n'));
  });

  it('packs lines into datagrams that pass', () => {
    const packed = datagrams(Array.from({ length: 100 }, (_, index) => `line${index}:${'1'.repeat(40)}|c`));
    assert.ok(packed.every((datagram) => datagram.length <= 1_400));
    assert.equal(packed.join('\n').split('\n').length, 100);
    assert.deepEqual(datagrams([]), []);
  });
});
