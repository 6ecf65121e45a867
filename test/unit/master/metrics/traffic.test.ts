/** Totals of traffic over all workers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expose } from '../../../../src/master/metrics/exposition.ts';
import { TrafficTotals } from '../../../../src/master/metrics/traffic.ts';
import { otherRoute } from '../../../../src/protocol/traffic.ts';
import { readExposition, sumOf } from '../../../support/exposition.ts';
import { delta } from '../../../support/reported-metrics.ts';

async function read(totals: TrafficTotals): Promise<ReturnType<typeof readExposition>> {
  return readExposition((await expose(totals.families())).text);
}

describe('totals of traffic', () => {
  it('add up over workers', async () => {
    const totals = new TrafficTotals();
    totals.add(delta('/a', 3));
    totals.add(delta('/a', 4));
    totals.add(delta(null, 5, 500));
    const page = await read(totals);
    assert.equal(sumOf(page, 'http_requests_total'), 12);
    assert.equal(sumOf(page, 'http_requests_total', { route: '/a', status: '200' }), 7);
  });

  it('CTL-04: routes without end are one, and nothing is lost of them', async () => {
    const totals = new TrafficTotals();
    for (let index = 0; index < 5_000; index++) totals.add(delta(`/r${index}`, 1));
    const page = await read(totals);
    assert.equal(sumOf(page, 'http_requests_total'), 5_000);
    assert.equal(sumOf(page, 'http_requests_total', { route: otherRoute }), 4_700);
  });

  it('quote what a label may not hold', async () => {
    const totals = new TrafficTotals();
    totals.add(delta('/"\\\n', 1));
    assert.equal(sumOf(await read(totals), 'http_requests_total'), 1);
  });
});
