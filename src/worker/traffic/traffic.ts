/**
 * Watches what the app's servers do, at the smallest cost per request: one look at each event that a server emits, and
 * no event listener that the app could see.
 *
 * The rest of this folder has one job a file: `connections.ts` is the table of connections, `in-flight.ts` knows the
 * requests that are not answered yet, `intercept.ts` answers those that are not the app's, `finishes.ts` sees requests
 * end, and `observer.ts` tells all of it to the observers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { LimitCounts } from '../limits/counts.ts';
import { bytesWritten, type Connection, type StreamInFlight, type Wire } from './connection.ts';
import { Connections } from './connections.ts';
import { onStreamEnd, watchAllServers, watchServer } from './emits.ts';
import { Finishes } from './finishes.ts';
import { trackFrames } from './frames.ts';
import { InFlight } from './in-flight.ts';
import { type Admission, type HealthAnswers, Interception } from './intercept.ts';
import { type Observer, Observers } from './observer.ts';
import { drop } from './unseen.ts';

export interface TrafficOptions {
  /** Milliseconds that idle connections are kept if the app does not say; 0 leaves Node's default. */
  readonly keepAlive: number;
  /** `null` leaves all health checks to the app. */
  readonly health: HealthAnswers | null;
}

/** An HTTP/2 stream that is followed to its end. */
interface Followed {
  readonly about: StreamInFlight;
  readonly connection: Connection;
  /** Whether the app sees it. */
  isOfApp: boolean;
}

/** Node's default of `server.keepAliveTimeout`, in milliseconds. */
const nodesKeepAlive = 5_000;
/** Protocols that are counted by name: a client may write anything in its `Upgrade` header. */
const knownProtocols = new Set(['websocket', 'h2c', 'connect']);

export class Traffic {
  readonly connections = new Connections((connection) => this.#closed(connection));
  readonly inFlight = new InFlight(this.connections);
  /** How often limits of requests acted; `null` if there are none. */
  limits: LimitCounts | null = null;
  readonly #keepAlive: number;
  readonly #observers = new Observers();
  readonly #interception: Interception;
  readonly #finishes: Finishes;
  readonly #servers = new Set<Server>();
  readonly #upgrades = new Map<string, number>();
  #requests = 0;
  #isOwnCall: ((socket: Socket) => boolean) | null = null;

  constructor({ keepAlive, health }: TrafficOptions) {
    const { connections, inFlight } = this;
    const observers = this.#observers;
    this.#keepAlive = keepAlive;
    this.#interception = new Interception(health, connections, observers, {
      begin: (connection, response) => inFlight.begin(connection, response),
      beginStream: (stream, headers) => void this.#follow(stream, headers),
    });
    this.#finishes = new Finishes({ connections, inFlight, interception: this.#interception, observers });
  }

  /** Requests served in this worker's life. */
  get requests(): number {
    return this.#requests;
  }

  get servers(): ReadonlySet<Server> {
    return this.#servers;
  }

  /** Connections that were upgraded in this worker's life, by protocol. */
  get upgrades(): ReadonlyMap<string, number> {
    return this.#upgrades;
  }

  /** Observers are told in the order in which they joined, and for the rest of this worker's life. */
  subscribe(observer: Observer): void {
    this.#observers.add(observer);
    this.#finishes.watch();
  }

  /** @param isOn whether new requests are answered with 503 from now on */
  reject(isOn: boolean): void {
    this.#interception.reject(isOn);
  }

  /** @param admission decides from now on which requests the app gets */
  guard(admission: Admission): void {
    this.#interception.guard(admission);
  }

  /** @param isOwn tells connections that this process has made to itself: no app sees them, and they are not counted */
  ignore(isOwn: (socket: Socket) => boolean): void {
    this.#isOwnCall = isOwn;
  }

  /** Watches every server of this process, from its first connection or its `listen()`, whichever is first. */
  watchAll(): void {
    watchAllServers(this);
  }

  /** Begins to watch a server. */
  track(server: Server): void {
    if (this.#servers.has(server)) return;
    this.#servers.add(server);
    this.#setKeepAlive(server);
    watchServer(this, server);
  }

  /** @returns whether the app must not see what a server is about to emit */
  onEmit(server: Server, name: string | symbol, first: unknown, second: unknown): boolean {
    if (name === 'connection' && this.#isOwnCall?.(first as Socket) === true) {
      (first as Socket).destroy();
      return true;
    }
    const isRequest = name === 'request' || name === 'stream' || name === 'checkContinue';
    if (isRequest ? this.#interception.take(name, first, second) : this.#interception.takeOther(name, first, second))
      return true;
    this.#see(server, name, first, second);
    return false;
  }

  #setKeepAlive(server: Server & { keepAliveTimeout?: number }): void {
    if (this.#keepAlive > 0 && server.keepAliveTimeout === nodesKeepAlive) server.keepAliveTimeout = this.#keepAlive;
  }

  #see(server: Server, name: string | symbol, first: unknown, second: unknown): void {
    switch (name) {
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        this.#request(first as IncomingMessage, second as ServerResponse);
        break;
      case 'dropRequest':
        drop(first as IncomingMessage);
        break;
      case 'connection':
        this.#connection(server, first as Wire);
        break;
      case 'secureConnection':
        this.connections.secure(first as Wire);
        break;
      case 'upgrade':
      case 'connect':
        this.#upgrade(first as IncomingMessage);
        break;
      case 'session':
        this.connections.attach(first as Http2Session);
        break;
      case 'stream':
        this.#stream(first as ServerHttp2Stream, second as Record<string, unknown>);
        break;
      default:
    }
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    if (request.httpVersionMajor !== 1) {
      // Emitted after 'stream', which has counted it.
      this.inFlight.attach(request as unknown as Http2ServerRequest);
      this.#observers.onBegin?.(request, response);
      return;
    }
    this.#requests += 1;
    this.#observers.onBegin?.(request, response);
    const connection = this.connections.of(request.socket);
    if (connection === null) return;
    const isPipelined = this.inFlight.begin(connection, response);
    const tell = this.#observers.onRequest;
    if (tell !== null || isPipelined) connection.newest = response;
    tell?.(connection, response);
  }

  #connection(server: Server, wire: Wire): void {
    // A server that does not listen: another one passes connections to it.
    this.track(server);
    const connection = this.connections.add(server, wire);
    if (connection !== null) this.#observers.onConnection?.(connection);
  }

  #closed(connection: Connection): void {
    this.#finishes.connectionClosed(connection);
    this.#observers.onClosed?.(connection);
  }

  #upgrade(request: IncomingMessage): void {
    this.#requests += 1;
    const connection = this.connections.of(request.socket);
    if (connection === null) return;
    const protocol = (request.headers.upgrade ?? request.method ?? '').toLowerCase();
    const { socket } = connection;
    const isWebSocket = protocol === 'websocket';
    const head = trackFrames(socket, isWebSocket);
    connection.upgraded = { protocol, written: bytesWritten(socket), head, frames: isWebSocket ? head : null };
    const counted = knownProtocols.has(protocol) ? protocol : 'other';
    this.#upgrades.set(counted, (this.#upgrades.get(counted) ?? 0) + 1);
    this.#observers.onUpgrade?.(request, connection);
  }

  #stream(stream: ServerHttp2Stream, headers: Record<string, unknown>): void {
    this.#requests += 1;
    this.#observers.onHeaders?.(headers);
    const followed = this.#follow(stream, headers);
    if (followed === null) return;
    followed.isOfApp = true;
    this.#observers.onStreamBegun?.(stream, followed.about, followed.connection);
  }

  /** @returns `null` if the stream's connection is not in the table */
  #follow(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>): Followed | null {
    const connection = this.connections.of(stream.session);
    if (connection === null) return null;
    const about = this.inFlight.beginStream(connection, stream, headers);
    if (about === null) return null;
    const followed: Followed = { about, connection, isOfApp: false };
    onStreamEnd(stream, () => {
      connection.streams?.delete(stream);
      this.#finishes.streamClosed(stream, about, connection);
      if (followed.isOfApp) this.#observers.onStreamClosed?.(stream, about, connection);
    });
    return followed;
  }
}
