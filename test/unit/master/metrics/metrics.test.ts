import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppMetrics } from '../../../../src/master/metrics/app.ts';
import { aggregators, expose } from '../../../../src/master/metrics/exposition.ts';
import { family } from '../../../../src/master/metrics/family.ts';
import { datagrams, StatsdLines } from '../../../../src/master/metrics/statsd-lines.ts';
import { TrafficTotals } from '../../../../src/master/metrics/traffic.ts';
import { checkWorkerMessage } from '../../../../src/protocol/check.ts';
import { type AppMetric, durationBounds, otherRoute, type TrafficDelta } from '../../../../src/protocol/traffic.ts';
import { Latency } from '../../../../src/worker/metrics/latency.ts';
import { readExposition, sumOf } from '../../../support/exposition.ts';

const buckets = (first: number): number[] => [first, ...durationBounds.map(() => 0)];
const nothing = { aborted: 0, connections: 0, received: 0, sent: 0, upgrades: [] };

function delta(route: string | null, count: number, status = 200): TrafficDelta {
  return { ...nothing, series: [{ method: 'GET', status, route, seconds: 0.1, buckets: buckets(count) }] };
}

function counter(value: number, labels: Readonly<Record<string, string>> = {}): AppMetric {
  const values = [{ metricName: 'jobs_total', labels, value }];
  return { name: 'jobs_total', help: 'Jobs', type: 'counter', aggregator: 'sum', values };
}

function gauge(value: number): AppMetric {
  const values = [{ metricName: 'depth', labels: {}, value }];
  return { name: 'depth', help: 'Depth', type: 'gauge', aggregator: 'sum', values };
}

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
      prefork: { type: 'app-metrics', metrics: [{ ...counter(1), values }] },
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

describe('what a worker reports', () => {
  const good = { type: 'traffic', delta: delta('/a', 1) };
  const kindOf = (message: unknown): string => checkWorkerMessage({ prefork: message }).kind;

  it('is taken where it is what it should be, and else is an offence', () => {
    assert.equal(kindOf(good), 'message');
    const [series] = good.delta.series;
    for (const bad of [
      null,
      {},
      { ...good.delta, aborted: -1 },
      { ...good.delta, sent: Number.NaN },
      { ...good.delta, series: 'x' },
      { ...good.delta, series: [null] },
      { ...good.delta, series: [{ ...series, method: 'get me"' }] },
      { ...good.delta, series: [{ ...series, status: 2e9 }] },
      { ...good.delta, series: [{ ...series, buckets: [1] }] },
      { ...good.delta, series: [{ ...series, buckets: buckets(-1) }] },
      { ...good.delta, series: [{ ...series, route: 'x'.repeat(201) }] },
      { ...good.delta, series: Array.from({ length: 2_001 }, () => series) },
      { ...good.delta, upgrades: [['a']] },
    ])
      assert.equal(kindOf({ type: 'traffic', delta: bad }), 'malformed', JSON.stringify(bad)?.slice(0, 100));
  });

  it("of the app's own loses what no page can hold", () => {
    const checked = checkWorkerMessage({
      prefork: {
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
      },
    });
    assert.ok(checked.kind === 'message' && checked.message.type === 'app-metrics');
    assert.deepEqual(
      checked.message.metrics.map(({ values }) => values.length),
      [1, 0, 0],
    );
  });
});

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

  it('packs lines into datagrams that pass', () => {
    const packed = datagrams(Array.from({ length: 100 }, (_, index) => `line${index}:${'1'.repeat(40)}|c`));
    assert.ok(packed.every((datagram) => datagram.length <= 1_400));
    assert.equal(packed.join('\n').split('\n').length, 100);
    assert.deepEqual(datagrams([]), []);
  });
});
