/** The requests whose responses are not finished, and when each began. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2';
import { isRequestId, type ReportedRequest } from '../../protocol/request.ts';
import { maxRoute, maxUrl } from '../../protocol/requests.ts';
import { currentResponse } from '../../system/node-internals.ts';
import { routeOf } from '../metrics/routes.ts';
import type { Connection, StreamInFlight } from './connection.ts';
import type { Connections } from './connections.ts';
import { phaseOf, phaseOfStream } from './phase.ts';
import { parseTraceparent } from './traceparent.ts';

/** A request whose response is not finished. */
export type RequestInFlight = ReportedRequest;

export class InFlight {
  readonly #connections: Connections;
  /** Of pipelined requests only: of all others the connection knows. */
  readonly #starts = new WeakMap<ServerResponse, number>();
  #hasPipelined = false;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** @returns whether the request is pipelined: the response to an older one is not finished */
  begin(connection: Connection, response: ServerResponse): boolean {
    const now = performance.now();
    const current = currentResponse(connection.socket);
    const isPipelined = current !== response;
    if (isPipelined) {
      // The connection knows when its newest request began, and there are older ones.
      if (current !== null && !this.#starts.has(current)) this.#starts.set(current, connection.requestAt);
      this.#starts.set(response, now);
      this.#hasPipelined = true;
    }
    connection.requestAt = now;
    return isPipelined;
  }

  /** @returns the stream as it is now in the connection's table; `null` if the connection has none */
  beginStream(
    connection: Connection,
    stream: ServerHttp2Stream,
    headers: Readonly<Record<string, unknown>>,
  ): StreamInFlight | null {
    const { streams } = connection;
    if (streams === null) return null;
    const since = performance.now();
    connection.requestAt = since;
    const about: StreamInFlight = {
      method: String(headers[':method'] ?? ''),
      url: String(headers[':path'] ?? ''),
      since,
      headers,
      request: null,
    };
    streams.set(stream, about);
    return about;
  }

  /** @param request of Node's compatibility API, whose stream has begun. Its socket may not be touched. */
  attach(request: Http2ServerRequest): void {
    const { stream } = request;
    const about = this.#connections.of(stream?.session)?.streams?.get(stream);
    if (about !== undefined) about.request = request;
  }

  /** @returns when the request began, of `performance.now()` */
  startOf(response: ServerResponse, connection: Connection): number {
    return (this.#hasPipelined ? this.#starts.get(response) : undefined) ?? connection.requestAt;
  }

  count(): number {
    let count = 0;
    for (const { socket, streams } of this.#connections.open) {
      if (currentResponse(socket) !== null) count += 1;
      count += streams?.size ?? 0;
    }
    return count;
  }

  /**
   * The oldest requests first, of a connection with pipelined ones only the one that is being answered.
   *
   * @param from milliseconds; younger ones are left out
   * @returns each with as much of its URL and route as is read of it: a message of many long ones would be too long
   */
  oldest(most: number, from = 0): RequestInFlight[] {
    const now = performance.now();
    const found: Found[] = [];
    for (const connection of this.#connections.open) {
      const response = currentResponse(connection.socket);
      if (response !== null && now - connection.requestAt >= from)
        found.push({ at: response, since: connection.requestAt });
      for (const [at, { since }] of connection.streams ?? [])
        if (now - since >= from) found.push({ at, since, connection });
    }
    // Described are only those that are told.
    return found
      .sort((a, b) => a.since - b.since)
      .slice(0, most)
      .map((each) => describe(each, now));
  }
}

/** The URL as the client sent it: Express shortens `url` below a mounted router. */
export function urlOf(request: IncomingMessage): string {
  const { originalUrl } = request as { originalUrl?: unknown };
  return typeof originalUrl === 'string' ? originalUrl : (request.url ?? '');
}

type Found =
  | { readonly at: ServerResponse; readonly since: number; readonly connection?: never }
  | { readonly at: ServerHttp2Stream; readonly since: number; readonly connection: Connection };

function describe({ at, since, connection }: Found, now: number): RequestInFlight {
  const age = now - since;
  if (connection === undefined) {
    const { req } = at;
    const about = {
      method: req.method ?? '',
      url: urlOf(req).slice(0, maxUrl),
      age,
      route: routeIn(req),
      phase: phaseOf(at),
    };
    return { ...about, ...idsIn(req.headers) };
  }
  const { method = '', url = '', request = null, headers = {} } = connection.streams?.get(at) ?? {};
  return {
    method,
    url: url.slice(0, maxUrl),
    age,
    route: request === null ? null : routeIn(request),
    phase: phaseOfStream(at),
    ...idsIn(headers),
  };
}

function routeIn(request: IncomingMessage | Http2ServerRequest): string | null {
  return routeOf(request)?.slice(0, maxRoute) ?? null;
}

/** Read from the headers when somebody asks: a request that nobody asks about costs nothing. */
export function idsIn(headers: Readonly<Record<string, unknown>>): Pick<RequestInFlight, 'id' | 'trace'> {
  const id = headers['x-request-id'];
  return { id: isRequestId(id) ? id : null, trace: parseTraceparent(headers.traceparent)?.traceId ?? null };
}
