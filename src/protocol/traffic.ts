/** What workers count of their requests, as it crosses the channel: always what was added since the last report. */

/** Upper bounds of the histogram of durations, seconds; a last bucket takes what is longer. prom-client's own default. */
export const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Methods that are counted by name; any other is `OTHER`, for a client may invent them. */
export const knownMethods: readonly string[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'CONNECT',
  'TRACE',
];
export const otherMethod = 'OTHER';

/** The limits of requests that are counted: what has become slow, was answered with 504, or was turned away and why. */
export const limitNames = ['slow', 'timed_out', 'in_flight', 'loop_delay'] as const;
export type LimitName = (typeof limitNames)[number];

/** Protocols to which connections are upgraded that are counted by name; any other is `other`. */
export const knownUpgrades: readonly string[] = ['websocket', 'h2c', 'connect'];
export const otherUpgrade = 'other';

/** A status that is none; else it is 100 to 999, as HTTP has it (RFC 9110, section 15). */
export const unknownStatus = 0;

/** What an app gave as a status: it may be anything, once its response was sent. */
export function statusIn(value: unknown): number {
  const isStatus = typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 999;
  return isStatus ? value : unknownStatus;
}

/** Stands for the routes beyond those that are counted by name. */
export const otherRoute = '(other)';

/** Requests of one kind. There are as many of them as the buckets hold. */
export interface TrafficSeries {
  readonly method: string;
  readonly status: number;
  /** The pattern of the route, `null` if it is not known; never the URL. */
  readonly route: string | null;
  /** The sum of their durations. */
  readonly seconds: number;
  /** One more than {@link durationBounds}; each request is in one bucket. */
  readonly buckets: readonly number[];
}

export interface TrafficDelta {
  readonly series: readonly TrafficSeries[];
  /** Requests whose client left before the response was complete. */
  readonly aborted: number;
  /** Connections accepted. */
  readonly connections: number;
  /** Bytes read from and written to connections, TLS and headers included. */
  readonly received: number;
  readonly sent: number;
  /** By protocol, such as `websocket`. */
  readonly upgrades: readonly (readonly [protocol: string, count: number])[];
  /** How often limits of requests acted; left out by a master of a version that had none. */
  readonly limited?: readonly (readonly [name: LimitName, count: number])[];
  /** The same requests by duration, see `latency-buckets.ts`; left out by a worker whose generation is not judged by it. */
  readonly latencies?: readonly (readonly [bucket: number, count: number])[];
}

/** One metric of the app's own prom-client registry, as its `getMetricsAsJSON()` gives it. */
export interface AppMetric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  /** How values of several workers become one: sum, first, min, max, average, omit. */
  readonly aggregator: string;
  readonly values: readonly AppSample[];
}

/** Characters of a metric, as a measure of what it takes to keep it or to pass it on; of each sample a fixed part too. */
export function sizeOf({ name, help, values }: AppMetric): number {
  let size = name.length + help.length;
  for (const sample of values) size += sizeOfSample(sample);
  return size;
}

export function sizeOfSample({ metricName, labels }: AppSample): number {
  let size = 80 + (metricName?.length ?? 0);
  for (const [label, value] of Object.entries(labels)) size += 6 + label.length + value.length;
  return size;
}

export interface AppSample {
  /** Differs from the metric's name for `_bucket`, `_sum` and `_count`. */
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
