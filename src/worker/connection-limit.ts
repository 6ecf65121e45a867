/**
 * `server.maxConnections` where several workers accept from the same queue. As in node:cluster, a server that is full
 * leaves further connections to the other workers, unless it has `dropMaxConnection`: it stops accepting until it has
 * room, and they wait in the kernel's queue. Where no other worker accepts, Node drops them, as under plain node.
 */
import type { Server } from 'node:net';
import {
  aroundConnections,
  connectionLimit,
  type Handle,
  isReferenced,
  liftConnectionLimit,
  onSocketDestroyed,
  pauseAccepting,
  setBacklog,
} from '../system/node-internals.ts';

interface Queue {
  readonly handle: Handle;
  readonly backlog: number;
}

/** Milliseconds between two looks at a server that is full: the app may have raised its limit. */
const lookAgain = 100;

export class ConnectionLimits {
  /** The queues of the servers that accept. */
  readonly #servers = new Map<Server, () => readonly Queue[]>();
  /** Servers that do not accept at the moment. */
  readonly #full = new Map<Server, NodeJS.Timeout>();
  #othersAccept = false;
  #takesAll = false;
  #isHeld = false;
  #isWatching = false;

  /**
   * A server begins to accept, or does so from a further queue.
   *
   * @param queues it accepts from at that moment
   */
  watch(server: Server, queues: () => readonly Queue[]): void {
    if (!this.#servers.has(server)) {
      aroundConnections(server, {
        // A connection that is accepted is served, even if the limit has changed meanwhile.
        before: () => (this.#isFull(server) ? liftConnectionLimit(server) : null),
        after: () => this.#look(server),
      });
    }
    this.#servers.set(server, queues);
    if (this.#full.has(server)) for (const { handle } of queues()) pauseAccepting(handle);
    else this.#look(server);
  }

  /** The server was closed. */
  forget(server: Server): void {
    this.#servers.delete(server);
    clearInterval(this.#full.get(server));
    this.#full.delete(server);
  }

  /** Whether other workers accept connections as well. */
  onPeers(othersAccept: boolean): void {
    this.#othersAccept = othersAccept;
    for (const server of this.#servers.keys()) this.#look(server);
  }

  /** From here on there is no limit: nobody else is going to accept what waits, and then the queues are closed. */
  takeAll(): void {
    this.#takesAll = true;
    for (const server of this.#full.keys()) this.#look(server);
  }

  /** @param isOn whether every server is as one that is full: for a while this process serves nobody */
  hold(isOn: boolean): void {
    this.#isHeld = isOn;
    for (const server of this.#servers.keys()) this.#look(server);
  }

  #isFull(server: Server): boolean {
    if (!this.#othersAccept && !this.#takesAll) return false;
    if (this.#isHeld) return true;
    // Looked at twice for each connection, and most servers have no limit.
    if (typeof server.maxConnections !== 'number') return false;
    const { connections, most, drops } = connectionLimit(server);
    // Node takes nobody then, whoever else there is.
    if (most === null || most <= 0 || drops) return false;
    return connections >= most;
  }

  /** Stops accepting if the server is full; goes on if it is not. */
  #look(server: Server): void {
    const timer = this.#full.size === 0 ? undefined : this.#full.get(server);
    const isFull = !this.#takesAll && this.#isFull(server);
    if (isFull === (timer !== undefined)) return;
    const queues = this.#servers.get(server)?.() ?? [];
    if (!isFull) {
      clearInterval(timer);
      this.#full.delete(server);
      for (const { handle, backlog } of queues) setBacklog(handle, backlog);
      return;
    }
    for (const { handle } of queues) pauseAccepting(handle);
    this.#watchEnds();
    const again = setInterval(() => this.#look(server), lookAgain);
    // A handle that does not accept keeps no process alive, and a server does.
    if (!isReferenced(server)) again.unref();
    this.#full.set(server, again);
  }

  /** Not before it is needed: it costs a little at the end of each socket. */
  #watchEnds(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    onSocketDestroyed(() => {
      for (const server of this.#full.keys()) this.#look(server);
    });
  }
}
