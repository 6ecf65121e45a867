/**
 * HTTP/1 connections in a drain. Every response says that it is the connection's last; a connection without a request
 * stays open for a while, so that its next request is served, with a response that says the same. Closing an idle connection at once is what
 * loses requests elsewhere: the client may be sending one at that very moment.
 */
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { currentResponse, hasHttpParser, isReceiving } from '../../system/node-internals.ts';
import { bytesRead, type Connection, endSoon } from '../traffic/connection.ts';
import { IdleSockets } from '../traffic/idle-sockets.ts';
import { lingerAtClose } from './lingering-close.ts';
import type { Plan } from './plan.ts';

/** What is remembered of a connection from one look to the next. */
interface Observed {
  /** The moment in the second half of the linger at which it is closed, 0 to 1. */
  readonly luck: number;
  /** Since when it has no request; `null` while it has one. */
  idleSince: number | null;
  /** Since when a request has been arriving that is not complete. */
  headSince: number | null;
  bytes: number;
}

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined;

const requestTimeout = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';

export class Http1Drain {
  readonly #observed = new WeakMap<Connection, Observed>();
  /** Responses that end their connections. */
  readonly #last = new WeakSet<ServerResponse>();
  #idle = new IdleSockets();

  /** Has the response in flight end its connection, if its head has not been sent. */
  makeCurrentLast(connection: Connection): void {
    const response = currentResponse(connection.socket);
    if (response !== null) this.makeLast(connection, response);
    if (connection.newest !== null && connection.newest !== response) this.makeLast(connection, connection.newest);
  }

  /** @param response to a request that arrives during the drain, or was under way when it began */
  makeLast(connection: Connection, response: ServerResponse): void {
    if (response.headersSent || this.#last.has(response)) return;
    this.#last.add(response);
    const { writeHead } = response;
    const write = (statusCode: number, reason: unknown, headers: Headers): ServerResponse => {
      // Of several pipelined requests the last one's response closes the connection: the others are to be answered too.
      const isLast = connection.newest === null || connection.newest === response;
      const closing = isLast && statusCode >= 200 ? closeAfter(response, headers) : headers;
      const args = typeof reason === 'string' ? [statusCode, reason, closing] : [statusCode, closing];
      return Reflect.apply(writeHead, response, closing === undefined ? args.slice(0, -1) : args);
    };
    lingerAtClose(connection.socket);
    response.writeHead = ((statusCode: number, reason?: unknown, headers?: Headers): ServerResponse =>
      typeof reason === 'string'
        ? write(statusCode, reason, headers)
        : write(statusCode, undefined, (reason ?? headers) as Headers)) as ServerResponse['writeHead'];
  }

  /** Begins a new look at all connections. */
  look(): void {
    this.#idle = new IdleSockets();
  }

  /** Closes the connection if its time has come. */
  step(connection: Connection, plan: Plan, now: number): void {
    const { socket, raw } = connection;
    if (socket.destroyed || socket.writableEnded) return;
    const seen = this.#observe(connection);
    const bytes = bytesRead(raw);
    const hasNewBytes = bytes !== seen.bytes;
    seen.bytes = bytes;
    if (currentResponse(socket) !== null || isReceiving(socket)) {
      seen.idleSince = null;
      seen.headSince = null;
      return;
    }
    seen.idleSince ??= now;
    if (this.#isArriving(connection)) {
      seen.headSince ??= now;
      if (now >= Math.max(plan.lingerUntil, seen.headSince) + plan.headTime) timeOut(connection);
      return;
    }
    seen.headSince = null;
    const linger = plan.lingerUntil - plan.startedAt;
    const closeAt = plan.startedAt + linger * (0.5 + seen.luck / 2);
    // Bytes since the last look may be a part of something encrypted, that the HTTP parser has not seen.
    const stay = bytes === 0 ? Math.max(plan.freshTime, plan.minIdle) : plan.minIdle;
    if (now >= Math.max(closeAt, seen.idleSince + stay) && !hasNewBytes) endSoon(socket);
  }

  #observe(connection: Connection): Observed {
    const known = this.#observed.get(connection);
    if (known !== undefined) return known;
    const seen = { luck: Math.random(), idleSince: null, headSince: null, bytes: bytesRead(connection.raw) };
    this.#observed.set(connection, seen);
    return seen;
  }

  /** Whether a part of a request, or of a TLS handshake, has been read. */
  #isArriving({ server, socket, raw }: Connection): boolean {
    if (!hasHttpParser(socket)) return bytesRead(raw) > 0;
    if (socket.bytesRead === 0) return false;
    const idle = this.#idle.of(server);
    return idle !== null && !idle.has(socket);
  }
}

/** Makes a response end its connection, whatever the app says. Returns the headers to pass on. */
function closeAfter(response: ServerResponse, headers: Headers): Headers {
  response.shouldKeepAlive = false;
  if (response.hasHeader('keep-alive')) response.removeHeader('keep-alive');
  if (headers === undefined || response.hasHeader('connection')) response.setHeader('Connection', 'close');
  if (headers === undefined) return undefined;
  if (!Array.isArray(headers)) {
    const kept = Object.entries(headers).filter(([name]) => !isHopByHop(name));
    return { ...Object.fromEntries(kept), Connection: 'close' };
  }
  // Pairs, or names and values in turn.
  const isNested = Array.isArray(headers[0]);
  const flat = (isNested ? headers.flat() : headers) as string[];
  const kept = flat.filter((_, index) => !isHopByHop(String(flat[index - (index % 2)])));
  return [...kept, 'Connection', 'close'];
}

function isHopByHop(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'connection' || lower === 'keep-alive';
}

function timeOut({ socket }: Connection): void {
  if (hasHttpParser(socket)) socket.write(requestTimeout);
  endSoon(socket);
}
