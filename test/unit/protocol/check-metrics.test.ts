/** What the master takes of the metrics that a worker reports. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkWorkerMessage } from '../../../src/protocol/check.ts';
import type { AppSample } from '../../../src/protocol/traffic.ts';
import { buckets, counter, delta } from '../../support/reported-metrics.ts';

describe('what a worker reports', () => {
  const good = { type: 'traffic', delta: delta('/a', 1) };
  const kindOf = (message: unknown): string => checkWorkerMessage(message).kind;

  it('is taken where it is what it should be, and else is an offence', () => {
    assert.equal(kindOf(good), 'message');
    const [series] = good.delta.series;
    for (const bad of [
      null,
      {},
      { ...good.delta, aborted: -1 },
      { ...good.delta, limited: 'x' },
      { ...good.delta, limited: [['slow', -1]] },
      { ...good.delta, limited: [['whatever', 1]] },
      { ...good.delta, limited: Array.from({ length: 9 }, () => ['slow', 1]) },
      { ...good.delta, sent: Number.NaN },
      { ...good.delta, sent: Number.POSITIVE_INFINITY },
      // Two of them would be infinite.
      { ...good.delta, sent: 1e308 },
      { ...good.delta, series: 'x' },
      { ...good.delta, series: [null] },
      { ...good.delta, series: [{ ...series, method: 'x'.repeat(41) }] },
      { ...good.delta, series: [{ ...series, method: 1 }] },
      { ...good.delta, series: [{ ...series, status: 99 }] },
      { ...good.delta, series: [{ ...series, status: 200.5 }] },
      { ...good.delta, series: [{ ...series, status: '200' }] },
      { ...good.delta, series: [{ ...series, seconds: 1e300 }] },
      { ...good.delta, series: [{ ...series, buckets: buckets(0.5) }] },
      { ...good.delta, series: [{ ...series, status: 2e9 }] },
      { ...good.delta, series: [{ ...series, buckets: [1] }] },
      { ...good.delta, series: [{ ...series, buckets: buckets(-1) }] },
      { ...good.delta, series: [{ ...series, buckets: buckets(0.5) }] },
      { ...good.delta, series: [{ ...series, route: 'x'.repeat(201) }] },
      { ...good.delta, series: Array.from({ length: 2_001 }, () => series) },
      { ...good.delta, upgrades: [['a']] },
    ])
      assert.equal(kindOf({ type: 'traffic', delta: bad }), 'malformed', JSON.stringify(bad)?.slice(0, 100));
  });

  it("of the app's own loses what no page can hold", () => {
    const checked = checkWorkerMessage({
      type: 'app-metrics',
      metrics: [
        counter(1),
        { ...counter(1), name: 'a b' },
        { ...counter(1), type: 'text' },
        { ...counter(1), aggregator: 'toString' },
        { ...counter(1), values: [{ value: 'x', labels: {} }, { value: 1, labels: { 'a-b': 'c' } }, null] },
        { ...counter(1), name: 'jobs' },
        17,
      ],
    });
    assert.ok(checked.kind === 'message' && checked.message.type === 'app-metrics');
    assert.deepEqual(
      checked.message.metrics.map(({ values }) => values.length),
      [1, 0, 0],
    );
  });

  it("of the app's own is bounded in every text, number and list", () => {
    const take = (metric: object): readonly AppSample[] => {
      const checked = checkWorkerMessage({ type: 'app-metrics', metrics: [{ ...counter(1), ...metric }] });
      assert.ok(checked.kind === 'message' && checked.message.type === 'app-metrics');
      const [taken] = checked.message.metrics;
      assert.ok(taken !== undefined && taken.help.length <= 1_000);
      return taken.values;
    };
    const labels = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`label${index}`, 'x']));
    assert.equal(take({ values: [{ value: 1, labels: labels(50) }] }).length, 1);
    for (const bad of [
      { value: 1, labels: labels(51) },
      { value: Number.POSITIVE_INFINITY, labels: {} },
      { value: Number.NaN, labels: {} },
      { value: 1, labels: JSON.parse('{"__proto__":"x"}') },
      { value: 1, labels: { [`a${'b'.repeat(200)}`]: 'x' } },
    ]) {
      assert.deepEqual(take({ help: 'h'.repeat(1e6), values: [bad] }), [], JSON.stringify(bad));
    }
    const [sample] = take({ values: [{ value: 1, labels: { path: 'x'.repeat(1e6) } }] });
    assert.equal(sample?.labels.path?.length, 500);
    const many = Array.from({ length: 30_000 }, () => ({ value: 1, labels: {} }));
    assert.equal(take({ values: many }).length, 20_000);
  });
});
