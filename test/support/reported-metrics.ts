/** What workers report, for tests of what becomes of it. */
import { type AppMetric, durationBounds, type TrafficDelta } from '../../src/protocol/traffic.ts';

/** A histogram's buckets with all observations in the first. */
export const buckets = (first: number): number[] => [first, ...durationBounds.map(() => 0)];
const nothing = { aborted: 0, connections: 0, received: 0, sent: 0, upgrades: [] };

/** Requests of one route, as a worker reports them. */
export function delta(route: string | null, count: number, status = 200): TrafficDelta {
  return { ...nothing, series: [{ method: 'GET', status, route, seconds: 0.1, buckets: buckets(count) }] };
}

/** Metrics of an app, as a worker reports them. */
export function counter(value: number, labels: Readonly<Record<string, string>> = {}): AppMetric {
  const values = [{ metricName: 'jobs_total', labels, value }];
  return { name: 'jobs_total', help: 'Jobs', type: 'counter', aggregator: 'sum', values };
}

export function gauge(value: number): AppMetric {
  const values = [{ metricName: 'depth', labels: {}, value }];
  return { name: 'depth', help: 'Depth', type: 'gauge', aggregator: 'sum', values };
}
