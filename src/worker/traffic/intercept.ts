/** Requests that the app never sees: health checks, and what is turned away while the worker drains. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
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

/** What a turned away client is told, in seconds: by then another worker, or the next start, serves it. */
const retryAfter = '5';
const goodbye = 'The service is stopping.\n';

export class Interception {
  readonly #health: HealthAnswers | null;
  readonly #connections: Connections;
  readonly #observers: Observers;
  readonly #own = new WeakSet<ServerResponse>();
  #isRejecting = false;

  constructor(health: HealthAnswers | null, connections: Connections, observers: Observers) {
    this.#health = health;
    this.#connections = connections;
    this.#observers = observers;
  }

  /** @param isOn whether new requests are answered with 503 from now on */
  reject(isOn: boolean): void {
    this.#isRejecting = isOn;
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
    if (this.#health === null && !this.#isRejecting) return false;
    return event === 'stream'
      ? this.#takeStream(first as ServerHttp2Stream, second as Readonly<Record<string, unknown>>)
      : this.#takeRequest(first as IncomingMessage, second as ServerResponse);
  }

  #takeRequest(request: IncomingMessage, response: ServerResponse): boolean {
    // Of HTTP/2 the stream was looked at, which is emitted before.
    if (request.httpVersionMajor !== 1) return false;
    const answer = this.#health?.answerTo(request.method, request.url) ?? null;
    if (answer !== null) this.#answer(request, response, answer);
    else if (this.#isRejecting) this.#turnAway(request, response);
    else return false;
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

  #turnAway(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.of(request.socket);
    if (connection !== null) connection.requestAt = performance.now();
    response.writeHead(503, { connection: 'close', 'retry-after': retryAfter, 'content-length': goodbye.length });
    response.end(goodbye);
  }

  #takeStream(stream: ServerHttp2Stream, received: Readonly<Record<string, unknown>>): boolean {
    const method = String(received[':method']);
    const answer = this.#health?.answerTo(method, String(received[':path'])) ?? null;
    if (answer !== null) {
      stream.respond({ ':status': answer.status, ...answer.headers });
      stream.end(method === 'HEAD' ? undefined : answer.body);
      return true;
    }
    if (!this.#isRejecting) return false;
    stream.respond({ ':status': 503, 'retry-after': retryAfter }, { endStream: true });
    return true;
  }
}
