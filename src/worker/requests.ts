/**
 * Keeps count of what the app's servers do, at the smallest cost per request: one look at each event a server emits,
 * and no listener that the app could see.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { currentResponse, rawSocketOf } from '../ipc/node-internals.ts';

interface StreamInFlight {
  readonly method: string;
  readonly url: string;
  readonly since: number;
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
  health: Interceptor | null = null;
  /** Milliseconds that idle connections are kept, where the app does not say; 0 leaves Node's. */
  keepAlive = 0;
  /** New requests are turned away. */
  rejecting = false;
  /** The connection a server is being told of. A session that begins meanwhile is its. */
  #arriving: Connection | null = null;

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
    if (this.health?.answer(request, response, () => this.#announce(request, response)) === true) return true;
    if (!this.rejecting) return false;
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
    // HTTP/2 emits this too, after 'stream', and gives a socket that may not be touched.
    if (request.httpVersionMajor !== 1) return;
    this.requests += 1;
    const connection = (request.socket as Tracked | null)?.[connectionKey];
    if (connection === undefined) return;
    connection.requestAt = performance.now();
    if (this.listener !== null || currentResponse(connection.socket) !== response) connection.newest = response;
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
    socket.once('close', () => {
      this.connections.delete(connection);
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
    const protocol = request.headers.upgrade ?? request.method ?? '';
    connection.upgraded = { protocol: protocol.toLowerCase(), written: connection.socket.bytesWritten };
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
    const connection = (stream.session as Tracked | undefined)?.[connectionKey];
    const streams = connection?.streams;
    if (connection === undefined || streams === undefined || streams === null) return;
    const since = performance.now();
    connection.requestAt = since;
    streams.set(stream, { method: String(headers[':method'] ?? ''), url: String(headers[':path'] ?? ''), since });
    stream.once('close', () => streams.delete(stream));
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
