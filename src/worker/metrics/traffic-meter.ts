/** Counts the requests that have ended, in plain arrays, until the next report takes the counts away. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { latencyBuckets } from '../../protocol/latency-buckets.ts';
import {
  durationBounds,
  knownMethods,
  otherMethod,
  otherRoute,
  statusIn,
  type TrafficDelta,
  type TrafficSeries,
} from '../../protocol/traffic.ts';
import type { Connection, StreamInFlight } from '../traffic/connection.ts';
import type { Observer } from '../traffic/observer.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { Latency } from './latency.ts';
import type { Routes } from './routes.ts';

interface Counts {
  readonly method: string;
  readonly status: number;
  readonly route: string | null;
  seconds: number;
  readonly buckets: number[];
  isFresh: boolean;
}

/** Most routes that are counted apart, and most kinds of requests in all. */
const maxRoutes = 100;
const maxSeries = 1_000;
const noRoute = '';

export class TrafficMeter implements Observer {
  readonly latency = new Latency();
  readonly #traffic: Traffic;
  readonly #routes: Routes;
  /** By route, then by method and status in one number. */
  readonly #series = new Map<string, Map<number, Counts>>();
  #fresh: Counts[] = [];
  #latest: Counts | null = null;
  #size = 0;
  #aborted = 0;
  /** Requests of any kind by their duration; `null` if nobody wants to know. */
  readonly #latencies: Uint32Array | null;
  #last = { accepted: 0, received: 0, sent: 0, upgrades: new Map<string, number>() };

  /** @param latencies whether reports say how long requests took as exactly as percentiles need it */
  constructor(traffic: Traffic, routes: Routes, latencies = false) {
    this.#latencies = latencies ? new Uint32Array(latencyBuckets) : null;
    this.#traffic = traffic;
    this.#routes = routes;
  }

  onFinished(request: IncomingMessage, response: ServerResponse, _: Connection, milliseconds: number): void {
    this.#count(request.method, statusIn(response.statusCode), this.#routes.of(request), milliseconds);
  }

  onStreamFinished(
    stream: ServerHttp2Stream,
    { method, request }: StreamInFlight,
    _: Connection,
    milliseconds: number,
  ): void {
    this.#count(
      method,
      statusIn(Number(stream.sentHeaders?.[':status'])),
      request === null ? null : this.#routes.of(request),
      milliseconds,
    );
  }

  onUpgradeRefused({ method }: IncomingMessage, _: Connection, status: number): void {
    this.#count(method, status, null, 0);
  }

  onAborted(): void {
    this.#aborted += 1;
  }

  /** What was added since the last call; `null` if that is nothing. */
  take(): TrafficDelta | null {
    const { connections, upgrades } = this.#traffic;
    const { accepted } = connections;
    const { received, sent } = connections.bytes();
    const last = this.#last;
    const upgraded = [...upgrades].flatMap(([protocol, count]): [string, number][] => {
      const more = count - (last.upgrades.get(protocol) ?? 0);
      return more > 0 ? [[protocol, more]] : [];
    });
    const delta: TrafficDelta = {
      series: this.#fresh.map(takeCounts),
      aborted: this.#aborted,
      connections: accepted - last.accepted,
      received: Math.max(0, received - last.received),
      sent: Math.max(0, sent - last.sent),
      upgrades: upgraded,
      limited: this.#traffic.limits?.take() ?? [],
      ...this.#takeLatencies(),
    };
    this.#fresh = [];
    this.#aborted = 0;
    this.#last = { accepted, received, sent, upgrades: new Map(upgrades) };
    const isEmpty =
      delta.series.length === 0 && delta.aborted === 0 && delta.connections === 0 && delta.received + delta.sent === 0;
    return isEmpty && upgraded.length === 0 && delta.limited?.length === 0 ? null : delta;
  }

  #count(method: string | undefined, status: number, route: string | null, milliseconds: number): void {
    // Most often it is the same kind as the one before.
    let counts = this.#latest;
    if (counts === null || counts.status !== status || counts.method !== method || counts.route !== route) {
      counts = this.#countsOf(method ?? '', status, route ?? noRoute);
      this.#latest = counts;
    }
    const seconds = milliseconds / 1_000;
    let bucket = 0;
    while (bucket < durationBounds.length && seconds > (durationBounds[bucket] ?? 0)) bucket += 1;
    counts.buckets[bucket] = (counts.buckets[bucket] ?? 0) + 1;
    counts.seconds += seconds;
    if (!counts.isFresh) {
      counts.isFresh = true;
      this.#fresh.push(counts);
    }
    const index = this.latency.record(milliseconds);
    if (this.#latencies !== null) this.#latencies[index] = (this.#latencies[index] ?? 0) + 1;
  }

  #takeLatencies(): Pick<TrafficDelta, 'latencies'> {
    if (this.#latencies === null) return {};
    const latencies = [...this.#latencies.entries()].filter(([, count]) => count > 0);
    this.#latencies.fill(0);
    return { latencies };
  }

  #countsOf(method: string, status: number, route: string): Counts {
    const known = knownMethods.indexOf(method);
    const key = status * 16 + (known < 0 ? knownMethods.length : known);
    let ofRoute = this.#series.get(route);
    if (ofRoute === undefined) {
      if (this.#series.size > maxRoutes && route !== otherRoute) return this.#countsOf(method, status, otherRoute);
      ofRoute = new Map();
      this.#series.set(route, ofRoute);
    }
    let counts = ofRoute.get(key);
    if (counts === undefined) {
      if (this.#size >= maxSeries && route !== otherRoute) return this.#countsOf(method, status, otherRoute);
      this.#size += 1;
      counts = {
        method: known < 0 ? otherMethod : method,
        status,
        route: route === noRoute ? null : route,
        seconds: 0,
        buckets: Array.from({ length: durationBounds.length + 1 }, () => 0),
        isFresh: false,
      };
      ofRoute.set(key, counts);
    }
    return counts;
  }
}

function takeCounts(counts: Counts): TrafficSeries {
  const { method, status, route, seconds } = counts;
  const buckets = [...counts.buckets];
  counts.buckets.fill(0);
  counts.seconds = 0;
  counts.isFresh = false;
  return { method, status, route, seconds, buckets };
}
