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

  it('LIM-06: the limits of requests are counted by cause, from zero, and pass to another master', async () => {
    const totals = new TrafficTotals();
    assert.equal(sumOf(await read(totals), 'prefork_rejected_requests_total', { cause: 'loop_delay' }), 0);
    totals.add({
      ...delta('/a', 1),
      limited: [
        ['slow', 1],
        ['in_flight', 2],
        ['timed_out', 4],
      ],
    });
    totals.add({ ...delta('/a', 1), limited: [['in_flight', 8]] });
    const heir = new TrafficTotals();
    for (const piece of totals.export()) heir.add(piece);
    for (const each of [totals, heir]) {
      const page = await read(each);
      assert.equal(sumOf(page, 'prefork_slow_requests_total'), 1);
      assert.equal(sumOf(page, 'prefork_timed_out_requests_total'), 4);
      assert.equal(sumOf(page, 'prefork_rejected_requests_total', { cause: 'in_flight' }), 10);
    }
  });

  it('quote what a label may not hold', async () => {
    const totals = new TrafficTotals();
    totals.add(delta('/"\\\n', 1));
    assert.equal(sumOf(await read(totals), 'http_requests_total'), 1);
  });
});
