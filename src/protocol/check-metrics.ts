/** Checks the counts that workers report: bounded in number and size, and nothing but what a page of metrics can hold. */
import { escapeText } from '../system/plain.ts';
import { clip, type Fields, isCount, isFields } from './check-values.ts';
import { latencyBuckets } from './latency-buckets.ts';
import type { WorkerMessage } from './messages.ts';
import {
  type AppMetric,
  type AppSample,
  durationBounds,
  knownMethods,
  knownUpgrades,
  type LimitName,
  limitNames,
  otherMethod,
  otherUpgrade,
  sizeOf,
  statusIn,
  type TrafficDelta,
  type TrafficSeries,
  unknownStatus,
} from './traffic.ts';

const maxSeries = 2_000;
const maxUpgrades = 10;
const maxMetrics = 2_000;
/** Samples of one worker's own metrics; further ones are left out. */
const maxSamples = 20_000;
/** Characters of all names, labels and values of one worker's own metrics; metrics beyond them are left out. */
const maxSize = 3 * 1024 * 1024;
/** Seconds that the requests of one report may have taken together. */
const maxSeconds = 1e12;
const maxMethod = 40;
const maxRoute = 200;
const metricName = /^[a-zA-Z_:][\w:]{0,199}$/;
/** Labels of one sample. */
const maxLabels = 50;
/** Names that begin with two underscores are Prometheus's own. */
const labelName = /^(?!__)[a-zA-Z_]\w{0,99}$/;
const suffixes = ['', '_bucket', '_sum', '_count'];
const aggregators = ['sum', 'first', 'min', 'max', 'average', 'omit'];

export function checkTraffic({ delta }: Fields): WorkerMessage | null {
  if (!isFields(delta)) return null;
  const { series, upgrades, aborted, connections, received, sent } = delta;
  if (!isCount(aborted) || !isCount(connections) || !isCount(received) || !isCount(sent)) return null;
  if (!Array.isArray(series) || series.length > maxSeries) return null;
  if (!Array.isArray(upgrades) || upgrades.length > maxUpgrades) return null;
  const checked = series.flatMap((raw: unknown) => checkSeries(raw) ?? []);
  const protocols = upgrades.flatMap((raw: unknown): [string, number][] =>
    Array.isArray(raw) && typeof raw[0] === 'string' && isCount(raw[1])
      ? [[among(knownUpgrades, raw[0], otherUpgrade), raw[1]]]
      : [],
  );
  const limited = checkLimited(delta.limited ?? []);
  if (limited === null) return null;
  if (checked.length < series.length || protocols.length < upgrades.length) return null;
  const latencies = latenciesIn(delta.latencies);
  if (latencies === null) return null;
  const counts = { series: checked, upgrades: protocols, limited, aborted, connections, received, sent };
  return { type: 'traffic', delta: { ...counts, ...latencies } };
}

/** @returns `null` if it is malformed */
function checkLimited(raw: unknown): [LimitName, number][] | null {
  if (!Array.isArray(raw) || raw.length > limitNames.length) return null;
  const limited = raw.flatMap((pair: unknown): [LimitName, number][] => {
    const [given, count] = Array.isArray(pair) ? (pair as unknown[]) : [];
    const name = limitNames.find((known) => known === given);
    return name === undefined || !isCount(count) ? [] : [[name, count]];
  });
  return limited.length < raw.length ? null : limited;
}

/** @returns `null` if they are none that a worker sends */
function latenciesIn(raw: unknown): Pick<TrafficDelta, 'latencies'> | null {
  if (raw === undefined) return {};
  if (!Array.isArray(raw) || raw.length > latencyBuckets) return null;
  const latencies = raw.flatMap((each: unknown): [number, number][] =>
    Array.isArray(each) && isCount(each[0]) && each[0] < latencyBuckets && isCount(each[1]) ? [[each[0], each[1]]] : [],
  );
  return latencies.length < raw.length ? null : { latencies };
}

/** Whatever a worker names, there are no more labels than these. */
function among(known: readonly string[], given: string, other: string): string {
  return known.includes(given) ? given : other;
}

function checkSeries(raw: unknown): TrafficSeries | null {
  if (!isFields(raw)) return null;
  const { method, status, route, seconds, buckets } = raw;
  if (typeof method !== 'string' || method.length > maxMethod) return null;
  if (status !== unknownStatus && statusIn(status) === unknownStatus) return null;
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= maxSeconds)) return null;
  if (route !== null && (typeof route !== 'string' || route.length > maxRoute)) return null;
  if (!Array.isArray(buckets) || buckets.length !== durationBounds.length + 1 || !buckets.every(isCount)) return null;
  return {
    method: among(knownMethods, method, otherMethod),
    status: statusIn(status),
    // It is on pages that are read at a terminal as well.
    route: route === null ? null : escapeText(route),
    seconds,
    buckets,
  };
}

/** What cannot be understood is left out: it is the app's, which knows nothing of any protocol. */
export function checkAppMetrics({ metrics }: Fields): WorkerMessage | null {
  if (!Array.isArray(metrics)) return null;
  let left = maxSamples;
  let size = 0;
  const checked = metrics.slice(0, maxMetrics).flatMap((raw: unknown): AppMetric[] => {
    if (!isFields(raw) || typeof raw.name !== 'string' || !metricName.test(raw.name)) return [];
    const { name, type, aggregator, values } = raw;
    if (type !== 'counter' && type !== 'gauge' && type !== 'histogram' && type !== 'summary') return [];
    if (typeof aggregator !== 'string' || !aggregators.includes(aggregator) || !Array.isArray(values)) return [];
    const samples = values.slice(0, left).flatMap((value: unknown) => checkSample(value, name) ?? []);
    left -= samples.length;
    const help = typeof raw.help === 'string' ? escapeText(clip(raw.help, 1_000)) : '';
    const metric: AppMetric = { name, help, type, aggregator, values: samples };
    const own = sizeOf(metric);
    if (size + own > maxSize) return [];
    size += own;
    return [metric];
  });
  return { type: 'app-metrics', metrics: checked };
}

function checkSample(raw: unknown, name: string): AppSample | null {
  if (!isFields(raw) || typeof raw.value !== 'number' || !Number.isFinite(raw.value) || !isFields(raw.labels))
    return null;
  const sampleName = raw.metricName ?? name;
  if (typeof sampleName !== 'string' || !suffixes.some((suffix) => sampleName === `${name}${suffix}`)) return null;
  const labels: [string, string][] = [];
  const given = Object.entries(raw.labels);
  if (given.length > maxLabels) return null;
  for (const [label, value] of given) {
    // prom-client takes any value, and shows it as text.
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (!labelName.test(label) || (!isPlain && value !== null)) return null;
    labels.push([label, escapeText(clip(String(value), 500))]);
  }
  return { metricName: sampleName, labels: Object.fromEntries(labels), value: raw.value };
}
