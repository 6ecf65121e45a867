/** The table of connections: those that are open, and sums over all that ever were. */
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { rawSocketOf } from '../../system/node-internals.ts';
import type { Connection } from './connection.ts';

const connectionKey = Symbol('prefork.connection');

interface Tracked {
  [connectionKey]?: Connection;
}

/** Bytes read from and written to connections. */
export interface Bytes {
  readonly received: number;
  readonly sent: number;
}

export class Connections {
  readonly #open = new Set<Connection>();
  #accepted = 0;
  /** Bytes of the connections that are closed. */
  #received = 0;
  #sent = 0;
  /** The connection that a server is told of at the moment: a session that begins meanwhile belongs to it. */
  #arriving: Connection | null = null;

  get open(): ReadonlySet<Connection> {
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
      received += raw.bytesRead;
      sent += raw.bytesWritten;
    }
    return { received, sent };
  }

  /** @param part a socket or a session of the connection */
  of(part: object | null | undefined): Connection | null {
    return (part as Tracked | null | undefined)?.[connectionKey] ?? null;
  }

  add(server: Server, socket: Socket & Tracked): Connection {
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
    this.#accepted += 1;
    this.#arriving = connection;
    this.#open.add(connection);
    return connection;
  }

  /** @param socket the TLS socket of a connection that is in the table */
  secure(socket: Socket & Tracked): void {
    const connection = this.of(rawSocketOf(socket));
    if (connection === null) return;
    connection.socket = socket;
    socket[connectionKey] = connection;
    this.#arriving = connection;
  }

  /** @param session has just begun, on the connection that arrived last */
  attach(session: Http2Session & Tracked): void {
    const connection = this.#arriving;
    if (connection === null) return;
    connection.session = session;
    connection.streams = new Map();
    session[connectionKey] = connection;
  }

  /** @param connection is closed */
  remove(connection: Connection): void {
    this.#open.delete(connection);
    this.#received += connection.raw.bytesRead;
    this.#sent += connection.raw.bytesWritten;
  }
}
