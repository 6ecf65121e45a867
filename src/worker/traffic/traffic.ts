/**
 * Keeps count of what the app's servers do, at the smallest cost per request: one look at each event a server emits,
 * and no listener that the app could see.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { currentResponse, rawSocketOf } from '../../system/node-internals.ts';

export interface StreamInFlight {
  readonly method: string;
  readonly url: string;
  readonly since: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Where the app uses Node's compatibility API. */
  request: Http2ServerRequest | null;
}

/** Hears of HTTP/2 streams that end, and of responses that never will. */
export interface EndListener {
  onStream(stream: ServerHttp2Stream, about: StreamInFlight, connection: Connection): void;
  onAborted(response: ServerResponse | null, connection: Connection): void;
  onUpgrade(request: IncomingMessage, connection: Connection): void;
}

/** One accepted connection. */
export interface Connection {
  readonly server: Server;
  /** What was accepted. */
  readonly raw: Socket;
  /** What the protocol is spoken on: the TLS socket, where there is one. */
  socket: Socket;
  session: Http2Session | null;
  /** Open HTTP/2 streams. */
  streams: Map<ServerHttp2Stream, StreamInFlight> | null;
  /** What it was upgraded to, lower case, and how many bytes had been written by then. */
  upgraded: { readonly protocol: string; readonly written: number } | null;
  /** The newest request's response, where several are pipelined or the connection drains. */
  newest: ServerResponse | null;
  /** When the newest request began. */
  requestAt: number;
}

/** A request whose response is not finished. */
export interface RequestInFlight {
  readonly method: string;
  readonly url: string;
  /** Milliseconds since it began. */
  readonly age: number;
}

/** What a drain wants to hear of. */
export interface TrafficListener {
  onRequest(connection: Connection, response: ServerResponse): void;
  onClosed(): void;
}

/** Answers requests that are not the app's. */
export interface Interceptor {
  /** @param begin is called before anything is written */
  answer(request: IncomingMessage, response: ServerResponse, begin: () => void): boolean;
  answerStream(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>): boolean;
}

/** What Node gives a server that says nothing, in milliseconds. */
const nodesKeepAlive = 5_000;
const retryAfter = '5';

const connectionKey = Symbol('prefork.connection');

interface Tracked {
  [connectionKey]?: Connection;
}

export class Traffic {
  /** Requests served in this worker's life. */
  requests = 0;
  /** Connections accepted in this worker's life. */
  accepted = 0;
  readonly servers = new Set<Server>();
  readonly connections = new Set<Connection>();
  /** Set while draining; costs one comparison a request until then. */
  listener: TrafficListener | null = null;
  /** Set where requests are counted by outcome, or logged. */
  ended: EndListener | null = null;
  /** Is called before the app sees a request. */
  onBegin: ((request: IncomingMessage, response: ServerResponse) => void) | null = null;
  /** Is called with the headers of an HTTP/2 stream before the app sees them. */
  onHeaders: ((headers: Record<string, unknown>) => void) | null = null;
  /** Somebody will want to know who a client was when it is gone. */
  remembersPeers = false;
  /** Connections that were upgraded in this worker's life, by protocol. */
  readonly upgrades = new Map<string, number>();
  health: Interceptor | null = null;
  /** Milliseconds that idle connections are kept, where the app does not say; 0 leaves Node's. */
  keepAlive = 0;
  /** New requests are turned away. */
  rejecting = false;
  /** The connection a server is being told of. A session that begins meanwhile is its. */
  #arriving: Connection | null = null;
  /** Of connections that are closed. */
  #bytes = { received: 0, sent: 0 };
  /** Of pipelined requests only: else the connection knows. */
  readonly #starts = new WeakMap<ServerResponse, number>();
  #hasPipelined = false;
  /** Health checks that the app has not seen. */
  readonly #ownAnswers = new WeakSet<ServerResponse>();

  /** Begins to watch a server. */
  track(server: Server): void {
    if (this.servers.has(server)) return;
    this.servers.add(server);
    this.#keepAlive(server);
    const emit = server.emit as (this: Server, name: string | symbol, ...args: unknown[]) => boolean;
    const see = this.#see.bind(this);
    const intercept = this.#intercept.bind(this);
    function watchedEmit(this: Server, name: string | symbol, first?: unknown, second?: unknown): boolean {
      if ((name === 'request' || name === 'stream' || name === 'checkContinue') && intercept(name, first, second))
        return true;
      see(server, name, first, second);
      // biome-ignore lint/complexity/noArguments: the fastest way to hand on any number of them
      return Reflect.apply(emit, this, arguments);
    }
    Object.defineProperty(server, 'emit', {
      value: watchedEmit,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }

  inFlight(): RequestInFlight[] {
    const now = performance.now();
    const found: RequestInFlight[] = [];
    for (const connection of this.connections) {
      const response = currentResponse(connection.socket);
      if (response !== null) found.push(describe(response.req, now - connection.requestAt));
      for (const { method, url, since } of connection.streams?.values() ?? [])
        found.push({ method, url, age: now - since });
    }
    return found;
  }

  inFlightCount(): number {
    let count = 0;
    for (const connection of this.connections) {
      if (currentResponse(connection.socket) !== null) count += 1;
      count += connection.streams?.size ?? 0;
    }
    return count;
  }

  connectionOf(socket: Socket | null | undefined): Connection | null {
    return (socket as Tracked | null | undefined)?.[connectionKey] ?? null;
  }

  /** @returns when its request began, of `performance.now()` */
  startOf(response: ServerResponse, connection: Connection): number {
    return (this.#hasPipelined ? this.#starts.get(response) : undefined) ?? connection.requestAt;
  }

  isOwnAnswer(response: ServerResponse): boolean {
    return this.health !== null && this.#ownAnswers.has(response);
  }

  /** Read from and written to all connections in this worker's life. */
  bytes(): { readonly received: number; readonly sent: number } {
    let { received, sent } = this.#bytes;
    for (const { raw } of this.connections) {
      received += raw.bytesRead;
      sent += raw.bytesWritten;
    }
    return { received, sent };
  }

  #keepAlive(server: Server): void {
    const { keepAliveTimeout } = server as { keepAliveTimeout?: unknown };
    if (this.keepAlive > 0 && keepAliveTimeout === nodesKeepAlive) {
      (server as { keepAliveTimeout?: number }).keepAliveTimeout = this.keepAlive;
    }
  }

  /** @returns whether the app is not to see this request */
  #intercept(name: string, first: unknown, second: unknown): boolean {
    if (this.health === null && !this.rejecting) return false;
    if (name === 'stream') {
      const stream = first as ServerHttp2Stream;
      if (this.health?.answerStream(stream, second as Record<string, unknown>) === true) return true;
      if (!this.rejecting) return false;
      stream.respond({ ':status': 503, 'retry-after': retryAfter }, { endStream: true });
      return true;
    }
    const request = first as IncomingMessage;
    const response = second as ServerResponse;
    if (request.httpVersionMajor !== 1) return false;
    if (this.health?.answer(request, response, () => this.#announce(request, response)) === true) {
      this.#ownAnswers.add(response);
      return true;
    }
    if (!this.rejecting) return false;
    const connection = this.connectionOf(request.socket);
    if (connection !== null) connection.requestAt = performance.now();
    const body = 'The service is stopping.\n';
    response.writeHead(503, { connection: 'close', 'retry-after': retryAfter, 'content-length': body.length });
    response.end(body);
    request.resume();
    return true;
  }

  /** A drain has to know of answers of our own as well. */
  #announce(request: IncomingMessage, response: ServerResponse): void {
    const connection = (request.socket as Tracked | null)?.[connectionKey];
    if (this.listener === null || connection === undefined) return;
    connection.newest = response;
    this.listener.onRequest(connection, response);
  }

  #see(server: Server, name: string | symbol, first: unknown, second: unknown): void {
    switch (name) {
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        this.#request(first as IncomingMessage, second as ServerResponse);
        break;
      case 'connection':
        this.#connection(server, first as Socket);
        break;
      case 'secureConnection':
        this.#secureConnection(first as Socket);
        break;
      case 'upgrade':
      case 'connect':
        this.#upgrade(first as IncomingMessage);
        break;
      case 'session':
        this.#session(first as Http2Session);
        break;
      case 'stream':
        this.#stream(first as ServerHttp2Stream, second as Record<string, unknown>);
        break;
      default:
    }
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    if (request.httpVersionMajor !== 1) {
      this.#compatible(request as unknown as Http2ServerRequest);
      this.onBegin?.(request, response);
      return;
    }
    this.requests += 1;
    this.onBegin?.(request, response);
    const connection = (request.socket as Tracked | null)?.[connectionKey];
    if (connection === undefined) return;
    const now = performance.now();
    const current = currentResponse(connection.socket);
    if (current !== response) {
      // Pipelined: the connection knows when its newest request began, and there are older ones.
      if (current !== null && !this.#starts.has(current)) this.#starts.set(current, connection.requestAt);
      this.#starts.set(response, now);
      this.#hasPipelined = true;
    }
    connection.requestAt = now;
    if (this.listener !== null || current !== response) connection.newest = response;
    this.listener?.onRequest(connection, response);
  }

  #connection(server: Server, socket: Socket & Tracked): void {
    const connection: Connection = {
      server,
      raw: socket,
      socket,
      session: null,
      streams: null,
      upgraded: null,
      newest: null,
      requestAt: 0,
    };
    socket[connectionKey] = connection;
    this.accepted += 1;
    this.#arriving = connection;
    this.connections.add(connection);
    // Node asks the kernel, and keeps the answer.
    if (this.remembersPeers) void socket.remoteAddress;
    socket.once('close', () => {
      this.connections.delete(connection);
      this.#bytes.received += socket.bytesRead;
      this.#bytes.sent += socket.bytesWritten;
      const response = currentResponse(connection.socket);
      if (response !== null && !response.writableFinished) this.ended?.onAborted(response, connection);
      this.listener?.onClosed();
    });
  }

  #secureConnection(socket: Socket & Tracked): void {
    const connection = (rawSocketOf(socket) as Tracked)[connectionKey];
    if (connection === undefined) return;
    connection.socket = socket;
    socket[connectionKey] = connection;
    this.#arriving = connection;
  }

  #upgrade(request: IncomingMessage): void {
    this.requests += 1;
    const connection = (request.socket as Tracked | null)?.[connectionKey];
    if (connection === undefined) return;
    const protocol = (request.headers.upgrade ?? request.method ?? '').toLowerCase();
    connection.upgraded = { protocol, written: connection.socket.bytesWritten };
    // A client may call it what it likes.
    const known = protocol === 'websocket' || protocol === 'h2c' || protocol === 'connect' ? protocol : 'other';
    this.upgrades.set(known, (this.upgrades.get(known) ?? 0) + 1);
    this.ended?.onUpgrade(request, connection);
  }

  #session(session: Http2Session & Tracked): void {
    const connection = this.#arriving;
    if (connection === null) return;
    connection.session = session;
    connection.streams = new Map();
    session[connectionKey] = connection;
  }

  #stream(stream: ServerHttp2Stream, headers: Record<string, unknown>): void {
    this.requests += 1;
    this.onHeaders?.(headers);
    const connection = (stream.session as Tracked | undefined)?.[connectionKey];
    const streams = connection?.streams;
    if (connection === undefined || streams === undefined || streams === null) return;
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
    stream.once('close', () => {
      streams.delete(stream);
      if (stream.writableFinished) this.ended?.onStream(stream, about, connection);
      else this.ended?.onAborted(null, connection);
    });
  }

  /** HTTP/2 emits this after 'stream', and gives a socket that may not be touched. */
  #compatible(request: Http2ServerRequest): void {
    const { session } = request.stream ?? {};
    const about = (session as Tracked | undefined)?.[connectionKey]?.streams?.get(request.stream);
    if (about !== undefined) about.request = request;
  }
}

function describe(request: IncomingMessage, age: number): RequestInFlight {
  // Express shortens `url` where a router is mounted.
  const { originalUrl } = request as { originalUrl?: unknown };
  return {
    method: request.method ?? '',
    url: typeof originalUrl === 'string' ? originalUrl : (request.url ?? ''),
    age,
  };
}
