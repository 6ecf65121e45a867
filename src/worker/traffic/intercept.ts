/** Requests that the app never sees: health checks, and what is turned away because the worker drains or has too much to do. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { lingerAtClose } from '../drain/lingering-close.ts';
import { type Connection, endSoon, type Wire } from './connection.ts';
import type { Connections } from './connections.ts';
import type { Observers } from './observer.ts';

export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string;
}

/** Knows which requests are health checks, and their answers. */
export interface HealthAnswers {
  /** @returns `null` for a request that is the app's */
  answerTo(method: string | undefined, url: string | undefined): Answer | null;
}

/** What a client is told that is turned away. */
export interface Refusal {
  /** For people; ASCII. */
  readonly body: string;
}

/** Decides which requests the app gets. Health checks are not asked about. */
export interface Admission {
  /** @returns `null` if the app is to have it */
  admit(request: IncomingMessage, response: ServerResponse): Refusal | null;
  /** The same of an HTTP/2 stream, or of a connection that is to be upgraded. */
  admitOther(): Refusal | null;
}

/** Follows the answers to requests that the app does not see, to their ends. */
export interface Follower {
  /** @returns whether the request is pipelined */
  begin(connection: Connection, response: ServerResponse): boolean;
  beginStream(stream: ServerHttp2Stream, received: Readonly<Record<string, unknown>>): void;
}

/** What a turned away client is told, in seconds: by then another worker, or the next start, serves it. */
const retryAfter = '5';
const goodbye: Refusal = { body: 'The service is stopping.\n' };
/** Bytes of a request's body that are read so that its connection can stay; for a longer one that is not worth it. */
const smallBody = 65_536;

export class Interception {
  readonly #health: HealthAnswers | null;
  readonly #connections: Connections;
  readonly #observers: Observers;
  readonly #own = new WeakSet<ServerResponse>();
  #isRejecting = false;
  #admission: Admission | null = null;
  readonly #follower: Follower;

  constructor(health: HealthAnswers | null, connections: Connections, observers: Observers, follower: Follower) {
    this.#health = health;
    this.#follower = follower;
    this.#connections = connections;
    this.#observers = observers;
  }

  /** @param isOn whether new requests are answered with 503 from now on */
  reject(isOn: boolean): void {
    this.#isRejecting = isOn;
  }

  /** From now on it decides about each request. */
  guard(admission: Admission): void {
    this.#admission = admission;
  }

  /** Whether a response is the answer to a health check. */
  isOwn(response: ServerResponse): boolean {
    return this.#health !== null && this.#own.has(response);
  }

  /**
   * @param first, second are what the server emits with this event: a request and a response, or a stream and headers
   * @returns whether the request is answered, and the app must not see it
   */
  take(event: 'request' | 'checkContinue' | 'stream', first: unknown, second: unknown): boolean {
    if (this.#health === null && !this.#isRejecting && this.#admission === null) return false;
    return event === 'stream'
      ? this.#takeStream(first as ServerHttp2Stream, second as Readonly<Record<string, unknown>>)
      : this.#takeRequest(first as IncomingMessage, second as ServerResponse);
  }

  /**
   * The same of a request that is to leave HTTP, or that expects something else than to go on.
   *
   * @param second is the connection, or the response
   */
  takeOther(event: string | symbol, first: unknown, second: unknown): boolean {
    if (this.#admission === null) return false;
    if (event === 'checkExpectation') return this.#takeRequest(first as IncomingMessage, second as ServerResponse);
    if (event !== 'upgrade' && event !== 'connect') return false;
    // Of HTTP/2 the stream was looked at.
    if ((first as IncomingMessage).httpVersionMajor !== 1) return false;
    const refusal = this.#admission.admitOther();
    if (refusal === null) return false;
    const connection = this.#connections.of(second as Wire);
    if (connection !== null)
      this.#observers.onUpgradeRefused?.(first as IncomingMessage, connection, 503, refusal.body.length);
    refuseUpgrade(second as Wire, refusal);
    return true;
  }

  #takeRequest(request: IncomingMessage, response: ServerResponse): boolean {
    // Of HTTP/2 the stream was looked at, which is emitted before.
    if (request.httpVersionMajor !== 1) return false;
    const answer = this.#health?.answerTo(request.method, request.url) ?? null;
    if (answer !== null) this.#answer(request, response, answer);
    else if (this.#isRejecting) this.#turnAway(request, response, goodbye, true);
    else {
      const refusal = this.#admission?.admit(request, response) ?? null;
      if (refusal === null) return false;
      this.#turnAway(request, response, refusal, !isSmall(request));
    }
    request.resume();
    return true;
  }

  #answer(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
    const connection = this.#connections.of(request.socket);
    const tell = this.#observers.onRequest;
    if (tell !== null && connection !== null) {
      connection.newest = response;
      tell(connection, response);
    }
    response.writeHead(status, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
    this.#own.add(response);
  }

  /** @param ends whether the connection ends with the answer */
  #turnAway(request: IncomingMessage, response: ServerResponse, { body }: Refusal, ends: boolean): void {
    const connection = this.#connections.of(request.socket);
    if (connection !== null) {
      const isPipelined = this.#follower.begin(connection, response);
      const tell = this.#observers.onRequest;
      if (!ends && (tell !== null || isPipelined)) connection.newest = response;
      if (ends) lingerAtClose(connection.socket);
      else tell?.(connection, response);
    }
    const close = ends ? { connection: 'close' } : {};
    response.writeHead(503, {
      ...close,
      'retry-after': retryAfter,
      'content-type': 'text/plain',
      'content-length': body.length,
    });
    response.end(body);
  }

  #takeStream(stream: ServerHttp2Stream, received: Readonly<Record<string, unknown>>): boolean {
    const method = String(received[':method']);
    const answer = this.#health?.answerTo(method, String(received[':path'])) ?? null;
    if (answer !== null) {
      stream.respond({ ':status': answer.status, ...answer.headers });
      stream.end(method === 'HEAD' ? undefined : answer.body);
      return true;
    }
    if (this.#isRejecting) {
      this.#follower.beginStream(stream, received);
      stream.respond({ ':status': 503, 'retry-after': retryAfter }, { endStream: true });
      return true;
    }
    const refusal = this.#admission?.admitOther() ?? null;
    if (refusal === null) return false;
    this.#follower.beginStream(stream, received);
    const { body } = refusal;
    const endStream = method === 'HEAD';
    stream.respond(
      { ':status': 503, 'retry-after': retryAfter, 'content-type': 'text/plain', 'content-length': body.length },
      { endStream },
    );
    if (!endStream) stream.end(body);
    return true;
  }
}

/** Whether what is left of a request is read for the sake of its connection. A client that asks first may not send it. */
function isSmall({ headers }: IncomingMessage): boolean {
  if (headers.expect !== undefined || headers['transfer-encoding'] !== undefined) return false;
  return Number(headers['content-length'] ?? 0) <= smallBody;
}

/** A plain answer to a request for another protocol. Node has let go of the connection. */
function refuseUpgrade(wire: Wire, { body }: Refusal): void {
  // The client may be gone.
  wire.on('error', () => {});
  wire.resume();
  wire.write(
    `HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: ${retryAfter}\r\n` +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  endSoon(wire);
}
