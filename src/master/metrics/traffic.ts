/** What all workers have ever served. It is only added to, and survives each of them. */
import {
  durationBounds,
  knownUpgrades,
  type LimitName,
  limitNames,
  otherMethod,
  otherRoute,
  otherUpgrade,
  type TrafficDelta,
  type TrafficSeries,
  unknownStatus,
} from '../../protocol/traffic.ts';
import { Tally } from './counts.ts';
import { type Family, family, histogramSamples, type Labels, type Sample, single } from './family.ts';

interface Total {
  readonly labels: Labels;
  seconds: number;
  readonly buckets: number[];
}

/** Routes that are told apart over all workers and generations; no single worker takes up all of them. */
const maxRoutes = 300;
const maxRoutesEach = 102;
/** Kinds of requests in all; and of those beyond, which differ in method and status alone. */
const maxSeries = 3_000;
const maxOthers = 1_000;
/** Kinds of requests that another master gets at a time. */
const piece = 500;

const nothing = { aborted: 0, connections: 0, received: 0, sent: 0 };

export class TrafficTotals {
  readonly #totals = new Map<string, Total>();
  readonly #routes = new Set<string>();
  /** Routes that are known because a worker named them first, by worker. */
  readonly #namedBy = new Map<number, number>();
  readonly #upgrades = new Tally(['websocket']);
  readonly #limited = new Tally(limitNames);
  readonly #sums = { ...nothing };

  /** @param id the worker; `null` if it is another master that counted */
  add(delta: TrafficDelta, id: number | null = null): void {
    for (const series of delta.series) this.#addSeries(series, id);
    for (const [protocol, count] of delta.upgrades)
      this.#upgrades.add(knownUpgrades.includes(protocol) ? protocol : otherUpgrade, count);
    for (const [name, count] of delta.limited ?? []) this.#limited.add(name, count);
    this.#sums.aborted += delta.aborted;
    this.#sums.connections += delta.connections;
    this.#sums.received += delta.received;
    this.#sums.sent += delta.sent;
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#namedBy.delete(id);
  }

  /** What is kept, whatever workers report: series, and names of routes. */
  get kept(): { readonly series: number; readonly routes: number; readonly workers: number } {
    return { series: this.#totals.size, routes: this.#routes.size, workers: this.#namedBy.size };
  }

  /** All of it, in pieces that {@link add} takes: for another master to go on from. */
  export(): TrafficDelta[] {
    const series = [...this.#totals.values()].map(({ labels, seconds, buckets }): TrafficSeries => {
      const { method = '', status = '0', route = null } = labels;
      return { method, status: Number(status), route, seconds, buckets: [...buckets] };
    });
    const upgrades = this.#upgrades.by('protocol').map(([{ protocol = '' }, count]) => [protocol, count] as const);
    const pieces: TrafficDelta[] = [
      { ...this.#sums, upgrades, limited: this.#limitCounts(), series: series.slice(0, piece) },
    ];
    for (let at = piece; at < series.length; at += piece)
      pieces.push({ ...nothing, upgrades: [], series: series.slice(at, at + piece) });
    return pieces;
  }

  families(): Family[] {
    const totals = [...this.#totals.values()];
    const requests: [Labels, number][] = totals.map(({ labels, buckets }) => [labels, countOf(buckets)]);
    const durations: Sample[] = totals.flatMap(({ labels, buckets, seconds }) =>
      histogramSamples(labels, durationBounds, buckets, seconds),
    );
    const { aborted, connections, received, sent } = this.#sums;
    return [
      family('counter', 'http_requests_total', 'Requests whose response was sent in full', requests),
      {
        name: 'http_request_duration_seconds',
        help: 'Time from the head of a request to the end of its response',
        type: 'histogram',
        samples: durations,
      },
      single(
        'counter',
        'http_requests_aborted_total',
        'Requests whose client left before the response was complete',
        aborted,
      ),
      single('counter', 'http_connections_total', 'Connections accepted', connections),
      single('counter', 'http_received_bytes_total', 'Bytes read from clients, TLS and headers included', received),
      single('counter', 'http_sent_bytes_total', 'Bytes written to clients, TLS and headers included', sent),
      family('counter', 'http_upgrades_total', 'Connections that were upgraded', this.#upgrades.by('protocol')),
      ...this.#limitFamilies(),
    ];
  }

  #limitFamilies(): Family[] {
    const counts = new Map(this.#limitCounts());
    const rejected = (['in_flight', 'loop_delay'] as const).map((cause): [Labels, number] => [
      { cause },
      counts.get(cause) ?? 0,
    ]);
    const slow = counts.get('slow') ?? 0;
    const timedOut = counts.get('timed_out') ?? 0;
    return [
      single('counter', 'prefork_slow_requests_total', 'Requests that took as long as slowRequest', slow),
      single(
        'counter',
        'prefork_timed_out_requests_total',
        'Requests answered with 504 after requestTimeout',
        timedOut,
      ),
      family('counter', 'prefork_rejected_requests_total', 'Requests turned away with 503, by why', rejected),
    ];
  }

  #limitCounts(): [LimitName, number][] {
    const counts = new Map(this.#limited.by('name').map(([{ name = '' }, count]) => [name, count]));
    return limitNames.map((name) => [name, counts.get(name) ?? 0]);
  }

  #addSeries({ method, status, route: given, seconds, buckets }: TrafficSeries, id: number | null): void {
    const route = given === null ? null : this.#boundedRoute(given, id);
    const total =
      this.#totalOf(method, status, route, maxSeries) ??
      this.#totalOf(method, status, otherRoute, maxSeries + maxOthers) ??
      this.#totalOf(otherMethod, unknownStatus, otherRoute, Number.POSITIVE_INFINITY);
    if (total === null) return;
    total.seconds += seconds;
    for (const [index, count] of buckets.entries()) total.buckets[index] = (total.buckets[index] ?? 0) + count;
  }

  /** @param room kinds that there may be in all for a new one to be added; without it there is `null` */
  #totalOf(method: string, status: number, route: string | null, room: number): Total | null {
    const key = `${method} ${status} ${route ?? ''}`;
    const known = this.#totals.get(key);
    if (known !== undefined) return known;
    if (this.#totals.size >= room) return null;
    const labels: Labels = { method, status: String(status), ...(route === null ? {} : { route }) };
    const total: Total = { labels, seconds: 0, buckets: Array.from({ length: durationBounds.length + 1 }, () => 0) };
    this.#totals.set(key, total);
    return total;
  }

  #boundedRoute(route: string, id: number | null): string {
    if (route === otherRoute || this.#routes.has(route)) return route;
    const named = id === null ? 0 : (this.#namedBy.get(id) ?? 0);
    if (this.#routes.size >= maxRoutes || named >= maxRoutesEach) return otherRoute;
    this.#routes.add(route);
    if (id !== null) this.#namedBy.set(id, named + 1);
    return route;
  }
}

function countOf(buckets: readonly number[]): number {
  return buckets.reduce((sum, count) => sum + count, 0);
}
