/** Puts connections into the queue: all that can go if this worker leaves, a few if it has more than its share. */
import net from 'node:net';
import type { KeptReason } from '../../protocol/migration.ts';
import {
  type ConnectionsOut,
  holdConnection,
  letGo,
  openConnectionsOut,
  resumeConnection,
  type StreamHandle,
} from '../../system/node-internals.ts';
import type { Connection } from '../traffic/connection.ts';
import { boundBy, Look } from './movable.ts';
import type { MigrationParts, Sent } from './parts.ts';
import type { Tally } from './tally.ts';

/** Connections that are given at a time: other work of this process waits meanwhile. */
const mostAtOnce = 250;
/** The same while workers are evened out, and the milliseconds between two times. */
const mostToEven = 10;
const evenEvery = 50;
/** Milliseconds that idle ones wait for those at work to go first. */
const idleWait = 750;
/** Milliseconds without a connection that has gone, after which those that are left are ended as without a queue. */
const patience = 10_000;

export class Giving {
  readonly #parts: MigrationParts;
  readonly #tally: Tally;
  /** Idle connections go while there are more; `null` is none. */
  #keep: number | null = null;
  /** Since when those at work go first, while workers are evened out; of `performance.now()`. */
  #atWorkSince: number | null = null;
  /** The only ones whose connections can go; `null` is all. */
  #listeners: readonly string[] | null = null;
  #out: ConnectionsOut | null = null;
  /** One waits for the kernel to have room. */
  #isBusy = false;
  /** When the last connection went, or could have for the first time; of `performance.now()`. */
  #movedAt = Number.NEGATIVE_INFINITY;
  #hasFailed = false;
  #isWatching = false;
  #isLookDue = false;
  #evenTimer: NodeJS.Timeout | null = null;
  /** Seen idle at the last look, while workers are evened out. */
  #idleBefore = new WeakSet<Connection>();
  /** Are in the queue, or on their way there. */
  readonly #going = new WeakSet<Connection>();
  /** Of those, the ones of which the kernel has not said that it has them. */
  #pending = 0;

  constructor(parts: MigrationParts, tally: Tally) {
    this.#parts = parts;
    this.#tally = tally;
  }

  /** Whether every connection that can go is to go to another worker. */
  get givesAll(): boolean {
    return this.#keep === 0 && this.#canGive;
  }

  order(keep: number | null, listeners: readonly string[] | null, atWork: boolean): void {
    if (keep === 0 && this.#keep !== 0) this.#movedAt = performance.now();
    this.#keep = keep;
    this.#atWorkSince = atWork ? (this.#atWorkSince ?? performance.now()) : null;
    this.#listeners = listeners;
    if (!this.#canGive || keep === null) return;
    if (keep === 0 || atWork) this.#watchFinishes();
    this.#evenOut();
  }

  /** Whether the connection is about to go, and is to be left alone meanwhile. */
  isLeaving(connection: Connection): boolean {
    // What has not been looked at yet may be about to go as well: a look at each of thousands takes its time.
    return this.givesAll && performance.now() - this.#movedAt < patience && !this.#tally.isKept(connection);
  }

  goes(connection: Connection, isBusy: boolean): boolean {
    return this.givesAll && this.#reasonOf(connection, isBusy) === null;
  }

  giveIdle(): void {
    if (this.givesAll) this.#give(this.#parts.traffic.connections.open, mostAtOnce);
  }

  /** The drain is over: what has not left by now never will. */
  finish(): void {
    if (!this.givesAll) return;
    for (const connection of this.#parts.traffic.connections.open) this.#tally.keep(connection, 'busy');
  }

  /**
   * @param done called with `false` if the connection is still this process's
   * @returns whether the kernel had it at once
   */
  put(what: Sent, handle: StreamHandle, done: (isGone: boolean) => void): boolean {
    const { descriptors } = this.#parts;
    if (descriptors === null || this.#hasFailed) {
      done(false);
      return true;
    }
    try {
      this.#out ??= openConnectionsOut(descriptors.give);
    } catch {
      // Node is not what it was: connections end as they do without a queue.
      this.#hasFailed = true;
      done(false);
      return true;
    }
    return this.#out.put(JSON.stringify(what), handle, done);
  }

  get #canGive(): boolean {
    return this.#parts.descriptors !== null && !this.#hasFailed;
  }

  /** Gives a connection at the end of its response: a client that does not pause leaves no other moment. */
  #watchFinishes(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const finished = new Set<Connection>();
    this.#parts.traffic.subscribe({
      onFinished: (_request, _response, connection) => {
        if (!this.givesAll && !this.#givesAtWork) return;
        finished.add(connection);
        if (this.#isLookDue) return;
        this.#isLookDue = true;
        setImmediate(() => {
          this.#isLookDue = false;
          if (this.givesAll) this.#give(finished, mostAtOnce);
          else if (this.#givesAtWork) this.#give(finished, Math.min(mostToEven, this.#excess), 'evenly');
          finished.clear();
        });
      },
    });
  }

  #evenOut(): void {
    if (this.#evenTimer !== null) return;
    this.#evenTimer = setInterval(() => setImmediate(() => this.#evenNow()), evenEvery);
    this.#evenTimer.unref();
  }

  #evenNow(): void {
    if (this.#keep === null) {
      if (this.#evenTimer !== null) clearInterval(this.#evenTimer);
      this.#evenTimer = null;
    } else if (this.#keep === 0) this.giveIdle();
    else if (this.#excess > 0 && performance.now() - (this.#atWorkSince ?? Number.NEGATIVE_INFINITY) >= idleWait)
      this.#give(this.#parts.traffic.connections.open, Math.min(mostToEven, this.#excess), 'idle');
  }

  /** Whether a connection whose request has just been answered goes to another worker. */
  get #givesAtWork(): boolean {
    return this.#atWorkSince !== null && this.#excess > 0;
  }

  /** Connections beyond those that this worker is to keep. */
  get #excess(): number {
    const { open } = this.#parts.traffic.connections;
    return this.#keep === null ? 0 : Math.max(0, open.size - this.#pending - this.#keep);
  }

  /**
   * @param which `all`: whatever can go. `evenly`: what is beyond a share. `idle`: of that only what has been idle for a
   *   while: a client that is at work is not to wait for nothing
   */
  #give(connections: Iterable<Connection>, most: number, which: 'all' | 'evenly' | 'idle' = 'all'): void {
    const look = new Look();
    const idleNow = new WeakSet<Connection>();
    let count = 0;
    for (const connection of connections) {
      if (this.#isBusy || !this.#canGive) return;
      if (count >= most) {
        if (which === 'all') this.#goOn();
        return;
      }
      const reason = this.#reasonOf(connection, false);
      if (reason !== null) {
        if (which === 'all') this.#tally.keep(connection, reason);
        continue;
      }
      if (this.#going.has(connection) || !look.isIdle(connection)) continue;
      if (which === 'idle' && !this.#idleBefore.has(connection)) {
        idleNow.add(connection);
        continue;
      }
      if (this.#giveOne(connection)) count += 1;
    }
    if (which === 'idle') this.#idleBefore = idleNow;
  }

  #reasonOf(connection: Connection, isBusy: boolean): KeptReason | null {
    const reason = boundBy(connection, isBusy);
    if (reason !== null) return reason;
    const listener = this.#parts.places.listenerOf(connection.server);
    // A server that does not listen has the connection from another one of the app's.
    if (listener === null) return 'app';
    return this.#listeners === null || this.#listeners.includes(listener) ? null : 'address';
  }

  #giveOne(connection: Connection): boolean {
    const { server, socket } = connection;
    const listener = this.#parts.places.listenerOf(server);
    if (listener === null || !(socket instanceof net.Socket)) return false;
    const handle = holdConnection(socket);
    if (handle === null) return false;
    this.#going.add(connection);
    this.#pending += 1;
    let isOver = false;
    let waits = false;
    const isThere = this.put({ listener, hops: 0 }, handle, (isGone) => {
      isOver = true;
      this.#pending -= 1;
      if (waits) this.#goOn();
      if (isGone) {
        this.#movedAt = performance.now();
        this.#tally.count('given');
        letGo(socket);
      } else {
        this.#going.delete(connection);
        this.#hasFailed = true;
        this.#tally.count('returned');
        resumeConnection(socket);
      }
    });
    // If the kernel has it, its callback comes soon. If not, nothing more goes before it.
    waits = !isThere && !isOver;
    this.#isBusy = waits;
    return true;
  }

  /** The queue has room, and there may be more to give. */
  #goOn(): void {
    this.#isBusy = false;
    setImmediate(() => this.giveIdle());
  }
}
