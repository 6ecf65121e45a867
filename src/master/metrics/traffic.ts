/** What all workers have ever served. It is only added to, and survives each of them. */
import { durationBounds, otherRoute, type TrafficDelta, type TrafficSeries } from '../../protocol/traffic.ts';
import { Tally } from './counts.ts';
import { type Family, family, histogramSamples, type Labels, type Sample, single } from './family.ts';

interface Total {
  readonly labels: Labels;
  seconds: number;
  readonly buckets: number[];
}

/** Routes that are told apart over all workers and generations, and kinds of requests in all. */
const maxRoutes = 300;
const maxSeries = 3_000;
/** Kinds of requests that another master gets at a time. */
const piece = 500;

const nothing = { aborted: 0, connections: 0, received: 0, sent: 0 };

export class TrafficTotals {
  readonly #totals = new Map<string, Total>();
  readonly #routes = new Set<string>();
  readonly #upgrades = new Tally(['websocket']);
  readonly #sums = { ...nothing };

  add(delta: TrafficDelta): void {
    for (const series of delta.series) this.#addSeries(series);
    for (const [protocol, count] of delta.upgrades) this.#upgrades.add(protocol, count);
    this.#sums.aborted += delta.aborted;
    this.#sums.connections += delta.connections;
    this.#sums.received += delta.received;
    this.#sums.sent += delta.sent;
  }

  /** All of it, in pieces that {@link add} takes: for another master to go on from. */
  export(): TrafficDelta[] {
    const series = [...this.#totals.values()].map(({ labels, seconds, buckets }): TrafficSeries => {
      const { method = '', status = '0', route = null } = labels;
      return { method, status: Number(status), route, seconds, buckets: [...buckets] };
    });
    const upgrades = this.#upgrades.by('protocol').map(([{ protocol = '' }, count]) => [protocol, count] as const);
    const pieces: TrafficDelta[] = [{ ...this.#sums, upgrades, series: series.slice(0, piece) }];
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
    ];
  }

  #addSeries({ method, status, route: given, seconds, buckets }: TrafficSeries): void {
    const route = given === null ? null : this.#boundedRoute(given);
    const known = `${method} ${status} ${route ?? ''}`;
    const key = this.#totals.has(known) || this.#totals.size < maxSeries ? known : `${method} ${status} ${otherRoute}`;
    let total = this.#totals.get(key);
    if (total === undefined) {
      const named = key === known ? route : otherRoute;
      const labels: Labels = { method, status: String(status), ...(named === null ? {} : { route: named }) };
      total = { labels, seconds: 0, buckets: buckets.map(() => 0) };
      this.#totals.set(key, total);
    }
    total.seconds += seconds;
    for (const [index, count] of buckets.entries()) total.buckets[index] = (total.buckets[index] ?? 0) + count;
  }

  #boundedRoute(route: string): string {
    if (this.#routes.has(route)) return route;
    if (this.#routes.size >= maxRoutes) return otherRoute;
    this.#routes.add(route);
    return route;
  }
}

function countOf(buckets: readonly number[]): number {
  return buckets.reduce((sum, count) => sum + count, 0);
}
