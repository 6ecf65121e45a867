/** The app's own metrics, of all workers as one, on the page beside prefork's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppMetrics } from '../../../../src/master/metrics/app.ts';
import { aggregators, expose } from '../../../../src/master/metrics/exposition.ts';
import { family } from '../../../../src/master/metrics/family.ts';
import { checkWorkerMessage } from '../../../../src/protocol/check.ts';
import { readExposition, sumOf } from '../../../support/exposition.ts';
import { counter, gauge } from '../../../support/reported-metrics.ts';

describe("the app's metrics", () => {
  const families = (app: AppMetrics): readonly { readonly name: string }[] => app.families(new Set(), aggregators);
  const sum = async (app: AppMetrics): Promise<number> =>
    sumOf(readExposition((await expose(app.families(new Set(), aggregators))).text), 'jobs_total');

  it('are of the type that the newest workers give them', async () => {
    const app = new AppMetrics();
    app.set(1, [counter(3)]);
    app.retire(1);
    app.set(2, [counter(4)]);
    app.set(3, [{ ...counter(5), type: 'gauge' }]);
    const [found] = app.families(new Set(), aggregators);
    assert.deepEqual([found?.type, found?.samples.map(({ value }) => value)], ['gauge', [5]]);
  });

  it('CTL-04: a name that is another’s, or that of another’s samples, spoils no page', async () => {
    const histogram = { name: 'size', help: 'Size', type: 'histogram' } as const;
    const samples = ['_bucket', '_sum', '_count'].map((suffix) => {
      const labels: Record<string, string> = suffix === '_bucket' ? { le: '+Inf' } : {};
      return { suffix, labels, value: 1 };
    });
    const families = [
      { ...histogram, samples },
      ...['size_count', 'size_bucket', 'size', 'weight_sum'].map((name) => family('gauge', name, 'x', [[{}, 1]])),
      { ...histogram, name: 'weight', samples },
      family('counter', 'jobs', 'x', [[{}, 1]]),
      family('counter', 'jobs_total', 'x', [[{}, 1]]),
      family('gauge', 'last', 'x', [[{}, 1]]),
    ];
    for (const format of ['prometheus', 'openmetrics'] as const) {
      const { text } = await expose(families, format);
      const { types } = readExposition(text, format === 'openmetrics');
      assert.ok(
        ['size', 'weight_sum', 'jobs', 'last'].every((name) => types.has(name)),
        text,
      );
      assert.ok(!types.has('size_count') && !types.has('weight'), text);
    }
  });

  it('labels may be true, false and null as well', () => {
    const values = [{ metricName: 'jobs_total', labels: { paid: true, by: null, n: 1 }, value: 1 }];
    const checked = checkWorkerMessage({
      type: 'app-metrics',
      metrics: [{ ...counter(1), values }],
    });
    const metrics = checked.kind === 'message' && checked.message.type === 'app-metrics' ? checked.message.metrics : [];
    assert.deepEqual(metrics[0]?.values[0]?.labels, { paid: 'true', by: 'null', n: '1' });
  });

  it('of a worker that is gone stay in counters, and leave gauges', async () => {
    const app = new AppMetrics();
    app.set(1, [counter(3), gauge(9)]);
    app.set(2, [counter(4)]);
    assert.equal(await sum(app), 7);
    app.retire(1);
    app.retire(1);
    app.set(3, [counter(1, { kind: 'b' })]);
    assert.equal(await sum(app), 8);
    assert.deepEqual(
      families(app).map(({ name }) => name),
      ['jobs_total'],
    );
  });

  it('get out of the way of ours', () => {
    const app = new AppMetrics();
    app.set(1, [counter(3)]);
    assert.equal(app.families(new Set(['jobs_total']), aggregators)[0]?.name, 'app_jobs_total');
  });

  it('of another type in a new generation do not break the page', async () => {
    const app = new AppMetrics();
    app.set(1, [counter(3)]);
    app.set(2, [{ ...counter(4), type: 'gauge' }]);
    assert.equal(await sum(app), 4);
  });

  it('with and without _total are one family in OpenMetrics', async () => {
    const page = await expose(
      [family('gauge', 'jobs', 'a', [[{}, 1]]), family('counter', 'jobs_total', 'b', [[{}, 2]])],
      'openmetrics',
    );
    readExposition(page.text, true);
  });
});
