/** The table of connections: those that are open, and sums over all that ever were. */
import type { Http2Session } from 'node:http2';
import type { Server } from 'node:net';
import { isDetached, onSocketDestroyed, rawSocketOf } from '../../system/node-internals.ts';
import { bytesRead, bytesWritten, type Connection, type Wire } from './connection.ts';
import { hidden } from './hidden.ts';
import { OpenConnections } from './open-connections.ts';

/** Bytes read from and written to connections. */
export interface Bytes {
  readonly received: number;
  readonly sent: number;
}

export class Connections {
  readonly #open = new OpenConnections();
  /** The connection of a socket or a session. */
  readonly #known = hidden<Connection>();
  readonly #onClosed: (connection: Connection) => void;
  /** Servers that have passed a connection on to another server. */
  readonly #distributors = new WeakSet<Server>();
  #accepted = 0;
  /** Bytes of the connections that are closed. */
  #received = 0;
  #sent = 0;
  /** A connection arrives that another worker has counted. */
  #receives = false;
  /** The connection that a server is told of at the moment: a session that begins meanwhile belongs to it. */
  #arriving: Connection | null = null;

  /** @param onClosed called for each connection that has left the table */
  constructor(onClosed: (connection: Connection) => void = () => {}) {
    this.#onClosed = onClosed;
    // An event listener on each socket would be visible to the app, and could be removed by it.
    onSocketDestroyed((socket) => {
      const connection = this.#known.of(socket);
      if (connection !== null && connection.raw === socket) this.remove(connection);
    });
  }

  get open(): OpenConnections {
    return this.#open;
  }

  /** Connections accepted in this worker's life. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Bytes of all connections in this worker's life. */
  bytes(): Bytes {
    let received = this.#received;
    let sent = this.#sent;
    for (const { raw } of this.#open) {
      received += bytesRead(raw);
      sent += bytesWritten(raw);
    }
    return { received, sent };
  }

  /** @param part a stream or a session of the connection */
  of(part: object | null | undefined): Connection | null {
    return this.#known.of(part);
  }

  /**
   * A server is told of a connection. One that another server has passed on, as it is or within TLS, is the same.
   *
   * @returns the connection if it is a new one
   */
  add(server: Server, wire: Wire): Connection | null {
    const earlier = this.of(wire) ?? this.of(rawSocketOf(wire));
    if (earlier !== null) {
      if (earlier.server !== server) this.#distributors.add(earlier.server);
      earlier.server = server;
      this.#speak(earlier, wire);
      return null;
    }
    // Nobody would say when it is closed.
    if (wire.destroyed) return null;
    const connection: Connection = {
      server,
      raw: wire,
      socket: wire,
      session: null,
      streams: null,
      upgraded: null,
      newest: null,
      requestAt: 0,
      place: -1,
    };
    if (!this.#receives) this.#accepted += 1;
    this.#open.add(connection);
    this.#speak(connection, wire);
    return connection;
  }

  /** @param tell tells a server of a connection that another worker has accepted, and counted */
  receive(tell: () => void): void {
    this.#receives = true;
    try {
      tell();
    } finally {
      this.#receives = false;
    }
  }

  /** Whether the connection waits for its first byte, by which an app's server decides which other one is to have it. */
  isUndecided({ server, raw, socket }: Connection): boolean {
    return socket === raw && bytesRead(raw) + bytesWritten(raw) === 0 && this.#distributors.has(server);
  }

  /** @param wire the TLS socket of a connection that is in the table */
  secure(wire: Wire): void {
    const connection = this.of(rawSocketOf(wire));
    if (connection !== null) this.#speak(connection, wire);
  }

  /** @param session has just begun, on the connection that arrived last */
  attach(session: Http2Session): void {
    const connection = this.#arriving;
    if (connection === null) return;
    connection.session = session;
    connection.streams = new Map();
    this.#known.put(session, connection);
  }

  /**
   * Removes what has left without a word: streams that are no sockets, and sockets that were sent to another process.
   */
  sweep(): void {
    for (const connection of this.#open) {
      if (connection.raw.destroyed || isDetached(connection.raw)) this.remove(connection);
    }
  }

  /** @param connection is closed */
  remove(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    this.#received += bytesRead(connection.raw);
    this.#sent += bytesWritten(connection.raw);
    this.#onClosed(connection);
  }

  #speak(connection: Connection, wire: Wire): void {
    connection.socket = wire;
    this.#known.put(wire, connection);
    this.#arriving = connection;
  }
}
