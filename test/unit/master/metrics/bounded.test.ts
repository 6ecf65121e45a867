/** What the master keeps of workers' metrics is bounded, whatever they report and however many of them there have been. */
import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { describe, it } from 'node:test';
import { AppMetrics } from '../../../../src/master/metrics/app.ts';
import { Metrics } from '../../../../src/master/metrics/metrics.ts';
import { StatsdLines } from '../../../../src/master/metrics/statsd-lines.ts';
import { TrafficTotals } from '../../../../src/master/metrics/traffic.ts';
import { Restraint } from '../../../../src/master/workers/restraint.ts';
import { checkWorkerMessage } from '../../../../src/protocol/check.ts';
import type { WorkerMessage } from '../../../../src/protocol/messages.ts';
import type { Status } from '../../../../src/protocol/status.ts';
import {
  knownMethods,
  knownUpgrades,
  otherMethod,
  otherRoute,
  otherUpgrade,
  statusIn,
} from '../../../../src/protocol/traffic.ts';
import { buckets, delta } from '../../../support/reported-metrics.ts';

type Traffic = Extract<WorkerMessage, { type: 'traffic' }>;
type App = Extract<WorkerMessage, { type: 'app-metrics' }>;

/** As the master takes it; `null` if it does not. */
function taken<T extends WorkerMessage>(message: unknown): T | null {
  const checked = checkWorkerMessage(message);
  return checked.kind === 'message' ? (checked.message as T) : null;
}

let count = 0;
/** A name that was never there before. */
const fresh = (): string => {
  count += 1;
  return `N${count}`;
};
const nothing = { aborted: 0, connections: 0, received: 0, sent: 0, upgrades: [], series: [] };
const series = { method: 'GET', status: 200, route: '/', seconds: 1, buckets: buckets(1) };

describe('what is kept of traffic', () => {
  it('has known methods and protocols, statuses of HTTP, and routes in plain text', () => {
    const methods = new Set<string>();
    for (const method of [...METHODS, ...knownMethods, fresh(), '__proto__', 'get', '', '\u202e']) {
      const message = taken<Traffic>({ type: 'traffic', delta: { ...nothing, series: [{ ...series, method }] } });
      methods.add(message?.delta.series[0]?.method ?? 'none');
    }
    assert.deepEqual([...methods].sort(), [...knownMethods, otherMethod].sort());
    assert.deepEqual(
      ['teapot', 99, 1_000, 200.5, Number.NaN, null, 200, 999].map(statusIn),
      [0, 0, 0, 0, 0, 0, 200, 999],
    );
    const protocols = ['websocket', fresh(), '__proto__', 'WebSocket', 'h2c', 'other'];
    const upgrades = protocols.map((protocol) => [protocol, 1]);
    const message = taken<Traffic>({ type: 'traffic', delta: { ...nothing, upgrades } });
    assert.deepEqual(
      new Set(message?.delta.upgrades.map(([protocol]) => protocol)),
      new Set(['websocket', 'h2c', otherUpgrade]),
    );
    assert.ok(knownUpgrades.includes('websocket'));
    const odd = taken<Traffic>({
      type: 'traffic',
      delta: { ...nothing, series: [{ ...series, route: '/\u001b[2J\n' }] },
    });
    assert.equal(odd?.delta.series[0]?.route, '/\\u001b[2J\\n');
  });

  it('does not grow with methods, statuses, routes and protocols, nor with workers that come and go', () => {
    const totals = new TrafficTotals();
    const statsd = new StatsdLines();
    let requests = 0;
    for (let id = 1; id <= 400; id += 1) {
      for (let report = 0; report < 4; report += 1) {
        const many = Array.from({ length: 100 }, () => {
          requests += 1;
          return { ...series, method: fresh(), status: 100 + (requests % 900), route: fresh() };
        });
        const message = taken<Traffic>({
          type: 'traffic',
          delta: { ...nothing, series: many, upgrades: [[fresh(), 1]] },
        });
        assert.ok(message !== null);
        totals.add(message.delta, id);
      }
      totals.forget(id);
    }
    const { kept } = totals;
    assert.ok(kept.series <= 4_001 && kept.routes <= 300 && kept.workers === 0, JSON.stringify(kept));
    const families = totals.families();
    assert.ok(families.reduce((sum, { samples }) => sum + samples.length, 0) < 4_001 * 16);
    const first = statsd.lines(families, { statsdPrefix: '', statsdTags: {} }).length;
    assert.ok(first < 4_001 * 4, `${first} lines`);
    // And nothing of it is lost.
    const counted = families.find(({ name }) => name === 'http_requests_total')?.samples ?? [];
    assert.equal(
      counted.reduce((sum, { value }) => sum + value, 0),
      requests,
    );
  });

  it('is not taken up by one worker: the routes of the others have names', () => {
    const totals = new TrafficTotals();
    for (let index = 0; index < 5_000; index += 1) totals.add(delta(fresh(), 1), 1);
    assert.ok(totals.kept.routes <= 102, `${totals.kept.routes}`);
    totals.add(delta('/honest', 1), 2);
    const requests = totals.families().find(({ name }) => name === 'http_requests_total')?.samples ?? [];
    assert.ok(requests.some(({ labels }) => labels.route === '/honest'));
    assert.ok(requests.some(({ labels }) => labels.route === otherRoute));
  });
});

describe("what is kept of the app's own metrics", () => {
  const sample = (name: string, labels: object, value = 1) => ({ metricName: name, labels, value });
  const metric = (name: string, values: object[], help = '') => ({
    ...{ name, help, type: 'counter', aggregator: 'sum', values },
  });

  it('of one report is bounded in characters, samples and labels', () => {
    const big = 'x'.repeat(10_000);
    const metrics = Array.from({ length: 3_000 }, () => {
      const name = fresh();
      return metric(
        name,
        Array.from({ length: 20 }, () => sample(name, { a: big, b: big, c: fresh() })),
        big,
      );
    });
    const message = taken<App>({ type: 'app-metrics', metrics });
    assert.ok(message !== null);
    const length = JSON.stringify(message).length;
    // What another master takes as one message at an upgrade.
    assert.ok(length < 8 * 1024 * 1024, `${length} characters`);
    const name = fresh();
    const labels = Object.fromEntries(Array.from({ length: 51 }, () => [fresh(), 'x']));
    const wide = taken<App>({ type: 'app-metrics', metrics: [metric(name, [sample(name, labels)])] });
    assert.equal(wide?.metrics[0]?.values.length, 0);
    const hidden = JSON.parse('{"__proto__":"x"}') as object;
    const proto = taken<App>({ type: 'app-metrics', metrics: [metric(name, [sample(name, hidden)])] });
    assert.equal(proto?.metrics[0]?.values.length, 0);
    const quotes = '"\\'.repeat(10_000);
    const escaped = taken<App>({
      type: 'app-metrics',
      metrics: Array.from({ length: 2_000 }, () => {
        const each = fresh();
        return metric(
          each,
          Array.from({ length: 10 }, () => sample(each, { a: quotes, b: '\u0001'.repeat(500) })),
        );
      }),
    });
    assert.ok(JSON.stringify(escaped).length < 8 * 1024 * 1024);
  });

  it('does not grow with workers that come and go, each with names and labels of its own', () => {
    const app = new AppMetrics();
    let size = app.size;
    for (let id = 1; id <= 300; id += 1) {
      const metrics = Array.from({ length: 100 }, () => {
        const name = fresh();
        return metric(
          name,
          Array.from({ length: 5 }, () => sample(name, { user: fresh(), pad: 'y'.repeat(400) })),
        );
      });
      app.set(id, taken<App>({ type: 'app-metrics', metrics })?.metrics ?? []);
      app.retire(id);
      size = app.size;
      assert.equal(size.living, 0);
    }
    assert.ok(size.metrics <= 2_000 && size.samples <= 50_000 && size.kept <= 16 * 1024 * 1024, JSON.stringify(size));
    for (let id = 400; id <= 500; id += 1) {
      const metrics = Array.from({ length: 2_000 }, () => metric(fresh(), []));
      app.set(id, taken<App>({ type: 'app-metrics', metrics })?.metrics ?? []);
      app.retire(id);
    }
    assert.ok(app.size.metrics <= 2_000, 'metrics without samples as well');
  });

  it('of all living workers together is bounded, and freed when they go', () => {
    const app = new AppMetrics();
    const name = 'jobs';
    const values = Array.from({ length: 5_000 }, () => sample(name, { pad: 'y'.repeat(500) }));
    const metrics = taken<App>({ type: 'app-metrics', metrics: [metric(name, values)] })?.metrics ?? [];
    for (let id = 1; id <= 200; id += 1) app.set(id, metrics);
    assert.ok(app.size.living <= 128 * 1024 * 1024, JSON.stringify(app.size));
    for (let id = 1; id <= 200; id += 1) app.retire(id);
    assert.equal(app.size.living, 0);
  });

  it('passes to another master in pieces that it takes, whole', async () => {
    const newMetrics = (): Metrics =>
      new Metrics({
        status: () => ({ listeners: [], workers: [] }) as unknown as Status,
        isCounting: () => true,
        lostLines: () => ({ log: 0, access: 0 }),
      });
    const [old, heir] = [newMetrics(), newMetrics()];
    for (let id = 1; id <= 40; id += 1) {
      const values = Array.from({ length: 1_000 }, () => sample('jobs', { user: fresh(), pad: 'y'.repeat(300) }));
      old.onAppMetrics(id, taken<App>({ type: 'app-metrics', metrics: [metric('jobs', values)] })?.metrics ?? []);
      old.forget(id);
    }
    let longest = 0;
    old.bequeath((counted) => {
      const text = JSON.stringify({ type: 'counted', counted });
      longest = Math.max(longest, text.length);
      heir.inherit((JSON.parse(text) as { counted: Parameters<Metrics['inherit']>[0] }).counted);
    });
    assert.ok(longest < 8 * 1024 * 1024, `${longest} characters`);
    const lines = (text: string): number => text.split('\n').filter((line) => line.startsWith('jobs{')).length;
    assert.equal(lines((await heir.page()).text), lines((await old.page()).text));
  });
});

describe('what a worker may say', () => {
  it('has a limit for each kind that costs something; who exceeds it is told on once, and heard no more', () => {
    let now = 0;
    const restraint = new Restraint(() => now);
    for (const type of ['failed', 'termed', 'health', 'drained', 'listen', 'ready', 'app-metrics'] as const) {
      const id = count;
      count += 1;
      const said = Array.from({ length: 1_000 }, () => restraint.take(id, type));
      const taken = said.filter((each) => each === 'taken').length;
      assert.ok(taken > 0 && taken <= 700, `${type}: ${taken}`);
      assert.equal(said.filter((each) => each === 'exceeded').length, 1);
      assert.equal(restraint.take(id, 'beat'), 'ignored');
      restraint.forget(id);
      assert.equal(restraint.take(id, type), 'taken');
      restraint.forget(id);
    }
    assert.equal(restraint.size, 0);
    // Honest ones, for an hour.
    for (let second = 0; second < 3_600; second += 1) {
      now += 1_000;
      for (const type of ['beat', 'beat', 'traffic', 'traffic', 'app-metrics', 'log-trouble', 'health'] as const)
        assert.equal(restraint.take(7, type), 'taken', `${type} in second ${second}`);
    }
  });
});
