/**
 * Connections outlive their worker: idle ones are put into a queue that all workers of the service share, and whichever
 * worker serves takes them from there, as it takes new ones from the kernel's queue (docs/decisions/0025). The kernel owns
 * what is in it: at no moment has a connection two owners, and none is lost with a worker that dies before it takes one.
 */
import type { Server } from 'node:net';
import net from 'node:net';
import { UnsupportedNodeError } from '../../errors.ts';
import type { MasterMessage } from '../../protocol/messages.ts';
import type { KeptReason, MigrationDelta, QueueDescriptors } from '../../protocol/migration.ts';
import {
  type ConnectionsIn,
  type ConnectionsOut,
  giveConnection,
  holdConnection,
  letGo,
  liftConnectionLimit,
  openConnectionsIn,
  openConnectionsOut,
  resumeConnection,
  type StreamHandle,
} from '../../system/node-internals.ts';
import type { Channel } from '../channel.ts';
import { shortage } from '../descriptors.ts';
import type { Connection } from '../traffic/connection.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { boundBy, Look } from './movable.ts';

type Order = Omit<Extract<MasterMessage, { type: 'migrate' }>, 'type'>;

/** Where connections come from and go to: the listeners of this worker. */
export interface Places {
  /** The listener that a server accepts from or did, by its key; `null` if it never did. */
  listenerOf(server: Server): string | null;
  serverOf(listener: string): Server | null;
  /** Whether a server takes a further connection. */
  hasRoom(server: Server): boolean;
}

export interface MigrationParts {
  readonly channel: Channel;
  readonly traffic: Traffic;
  readonly places: Places;
  /** `null` if there is no queue. */
  readonly descriptors: QueueDescriptors | null;
}

/** Connections that are given at a time: other work of this process waits meanwhile. */
const mostAtOnce = 250;
/** The same while workers are evened out, and the milliseconds between two times. */
const mostToEven = 10;
const evenEvery = 50;
/** Milliseconds between two looks of a worker that has its share at whether something has been left over. */
const peekEvery = 250;
const peekFor = 2;
/** Milliseconds without a connection that has gone, after which those that are left are ended as without a queue. */
const patience = 10_000;
/** Milliseconds between two reports. */
const reportEvery = 500;
/** Connections after which a worker looks whether it has descriptors left. */
const lookEvery = 64;
/** How often a connection is put back by workers that have no server for it. */
const maxHops = 3;

export class Migration {
  readonly #parts: MigrationParts;
  #order: Order = { keep: null, take: 0, listeners: null };
  #out: ConnectionsOut | null = null;
  #in: ConnectionsIn | null = null;
  #isReading = false;
  #isOutBusy = false;
  /** When the last connection went, or could have for the first time; of `performance.now()`. */
  #movedAt = Number.NEGATIVE_INFINITY;
  #hasFailed = false;
  #isWatching = false;
  #isLookDue = false;
  #takenSinceLook = 0;
  #evenTimer: NodeJS.Timeout | null = null;
  #peekTimer: NodeJS.Timeout | null = null;
  #reportTimer: NodeJS.Timeout | null = null;
  /** Seen idle at the last look, while workers are evened out. */
  #idleBefore = new WeakSet<Connection>();
  /** Are in the queue, or on their way there. */
  readonly #going = new WeakSet<Connection>();
  readonly #bound = new WeakSet<Connection>();
  #counts = { given: 0, taken: 0, returned: 0, lost: 0 };
  readonly #kept = new Map<KeptReason, number>();

  constructor(parts: MigrationParts) {
    this.#parts = parts;
  }

  /** Whether every connection that can go is to go to another worker. */
  get givesAll(): boolean {
    return this.#order.keep === 0 && this.#canGive;
  }

  order(order: Order): void {
    if (order.keep === 0 && this.#order.keep !== 0) this.#movedAt = performance.now();
    this.#order = order;
    if (this.#parts.descriptors === null) return;
    this.#read();
    if (order.keep === 0) this.#watchFinishes();
    if (order.keep !== null) this.#evenOut();
  }

  /** Whether the connection is about to go, and is to be left alone meanwhile. */
  isLeaving(connection: Connection): boolean {
    // What has not been looked at yet may be about to go as well: a look at each of thousands takes its time.
    return this.givesAll && performance.now() - this.#movedAt < patience && !this.#bound.has(connection);
  }

  /**
   * Whether the connection goes to another worker as soon as it is idle, so that its client need not be told to leave.
   *
   * @param isBusy the app has a request of it: what listens on the socket may be gone with the response
   */
  goes(connection: Connection, isBusy = false): boolean {
    return this.givesAll && this.#reasonOf(connection, isBusy) === null;
  }

  /** Gives away all that is idle. To be called right after a poll phase. */
  giveIdle(): void {
    if (!this.givesAll) return;
    this.#give(this.#parts.traffic.connections.open, mostAtOnce);
  }

  /** Tells the master what has been done since the last time. */
  report(): void {
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    this.#reportTimer = null;
    const { given, taken, returned, lost } = this.#counts;
    const kept = [...this.#kept];
    if (given + taken + returned + lost + kept.length === 0) return;
    this.#counts = { given: 0, taken: 0, returned: 0, lost: 0 };
    this.#kept.clear();
    const delta: MigrationDelta = { given, taken, returned, lost, kept };
    this.#parts.channel.send({ type: 'migrated', delta });
  }

  /** The drain is over: what has not left by now never will. */
  finish(): void {
    if (this.givesAll) for (const connection of this.#parts.traffic.connections.open) this.#keep(connection, 'busy');
    this.report();
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
        if (!this.givesAll) return;
        finished.add(connection);
        if (this.#isLookDue) return;
        this.#isLookDue = true;
        setImmediate(() => {
          this.#isLookDue = false;
          this.#give(finished, mostAtOnce);
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
    const { keep } = this.#order;
    const { open } = this.#parts.traffic.connections;
    if (keep === null) {
      if (this.#evenTimer !== null) clearInterval(this.#evenTimer);
      this.#evenTimer = null;
      return;
    }
    if (keep === 0) this.giveIdle();
    else if (open.size > keep) this.#give(open, Math.min(mostToEven, open.size - keep), true);
  }

  /** @param isToEven only what has been idle for a while is given: a client that is at work is not to wait for nothing */
  #give(connections: Iterable<Connection>, most: number, isToEven = false): void {
    if (!this.#canGive) return;
    const look = new Look();
    const idleNow = new WeakSet<Connection>();
    let count = 0;
    for (const connection of connections) {
      if (this.#isOutBusy || !this.#canGive) return;
      if (count >= most) {
        if (!isToEven) this.#goOn();
        return;
      }
      const reason = this.#reasonOf(connection);
      if (reason !== null) {
        if (!isToEven) this.#keep(connection, reason);
        continue;
      }
      if (this.#going.has(connection) || !look.isIdle(connection)) continue;
      if (isToEven && !this.#idleBefore.has(connection)) {
        idleNow.add(connection);
        continue;
      }
      if (this.#giveOne(connection)) count += 1;
    }
    if (isToEven) this.#idleBefore = idleNow;
  }

  #reasonOf(connection: Connection, isBusy = false): KeptReason | null {
    const reason = boundBy(connection, isBusy);
    if (reason !== null) return reason;
    const listener = this.#parts.places.listenerOf(connection.server);
    // A server that does not listen has the connection from another one of the app's.
    if (listener === null) return 'app';
    const { listeners } = this.#order;
    return listeners === null || listeners.includes(listener) ? null : 'address';
  }

  #giveOne(connection: Connection): boolean {
    const { server, socket } = connection;
    const listener = this.#parts.places.listenerOf(server);
    if (listener === null || !(socket instanceof net.Socket)) return false;
    const handle = holdConnection(socket);
    if (handle === null) return false;
    this.#going.add(connection);
    let isOver = false;
    let waits = false;
    const isThere = this.#put({ listener, hops: 0 }, handle, (isGone) => {
      isOver = true;
      if (waits) this.#goOn();
      if (isGone) {
        this.#movedAt = performance.now();
        this.#count('given');
        letGo(socket);
      } else {
        this.#going.delete(connection);
        this.#fail();
        this.#count('returned');
        resumeConnection(socket);
      }
    });
    // If the kernel has it, its callback comes soon. If not, nothing more goes before it.
    waits = !isThere && !isOver;
    this.#isOutBusy = waits;
    return true;
  }

  #put(what: Sent, handle: StreamHandle, done: (isGone: boolean) => void): boolean {
    const { descriptors } = this.#parts;
    if (descriptors === null) return false;
    try {
      this.#out ??= openConnectionsOut(descriptors.give);
      return this.#out.put(JSON.stringify(what), handle, done);
    } catch {
      this.#fail();
      done(false);
      return true;
    }
  }

  /** The queue has room, and there may be more to give. */
  #goOn(): void {
    this.#isOutBusy = false;
    setImmediate(() => this.giveIdle());
  }

  /** Begins or ends to read the queue, as the order wants it. */
  #read(): void {
    const { descriptors, traffic } = this.#parts;
    const { take } = this.#order;
    if (descriptors === null) return;
    const wants = take === null || traffic.connections.open.size < take;
    this.#setReading(wants);
    if (this.#peekTimer !== null) clearInterval(this.#peekTimer);
    this.#peekTimer = null;
    // Something may be left over by a worker that has died, or was too slow.
    if (take === null || take === 0) return;
    this.#peekTimer = setInterval(() => this.#peek(), peekEvery);
    this.#peekTimer.unref();
  }

  #peek(): void {
    this.#setReading(true);
    setTimeout(() => {
      const { take } = this.#order;
      if (take !== null && this.#parts.traffic.connections.open.size >= take) this.#setReading(false);
    }, peekFor).unref();
  }

  #setReading(isOn: boolean): void {
    const { descriptors } = this.#parts;
    if (isOn === this.#isReading || descriptors === null || this.#hasFailed) return;
    if (isOn && shortage(this.#parts.traffic.connections.open.size) !== null) {
      this.#readLater();
      return;
    }
    try {
      this.#in ??= openConnectionsIn(descriptors.take, (message, handle) => this.#take(message, handle));
    } catch {
      this.#fail();
      return;
    }
    this.#isReading = isOn;
    if (isOn) this.#in.start();
    else this.#in.stop();
  }

  /** Others take what this worker cannot, or it waits. */
  #readLater(): void {
    this.#setReading(false);
    setTimeout(() => this.#read(), peekEvery).unref();
  }

  /** Node is not what it was: connections end as they do without a queue. */
  #fail(): void {
    this.#hasFailed = true;
  }

  #take(text: string, handle: StreamHandle | null): void {
    const sent = parse(text);
    if (handle === null || sent === null) {
      handle?.close();
      this.#count('lost');
      return;
    }
    const { places, traffic } = this.#parts;
    const server = places.serverOf(sent.listener);
    const isFull = server !== null && !places.hasRoom(server);
    if (server !== null && (!isFull || sent.hops >= maxHops)) this.#receive(server, handle, isFull);
    else this.#putBack(sent, handle);
    this.#takenSinceLook += 1;
    const { take } = this.#order;
    const { size } = traffic.connections.open;
    if (take !== null && size >= take) this.#setReading(false);
    else if (this.#takenSinceLook >= lookEvery) {
      this.#takenSinceLook = 0;
      if (shortage(size) !== null) this.#readLater();
    }
  }

  /** @param isFull if nobody has room, it is served all the same: it was accepted once */
  #receive(server: Server, handle: StreamHandle, isFull: boolean): void {
    const undo = isFull ? liftConnectionLimit(server) : null;
    try {
      this.#parts.traffic.connections.receive(() => giveConnection(server, handle));
      this.#count('taken');
    } catch (error) {
      // What the app throws is the app's.
      if (!(error instanceof UnsupportedNodeError)) throw error;
      // The server was closed in this very moment.
      handle.close();
      this.#count('lost');
    } finally {
      undo?.();
    }
  }

  /** Another worker may have room, or a server for it: one of another release, at an upgrade. */
  #putBack({ listener, hops }: Sent, handle: StreamHandle): void {
    if (hops >= maxHops || !this.#canGive) {
      this.#count('lost');
      handle.close();
      return;
    }
    this.#readLater();
    this.#put({ listener, hops: hops + 1 }, handle, (isGone) => {
      if (!isGone) this.#count('lost');
      handle.close();
    });
  }

  #keep(connection: Connection, reason: KeptReason): void {
    if (this.#bound.has(connection)) return;
    this.#bound.add(connection);
    this.#kept.set(reason, (this.#kept.get(reason) ?? 0) + 1);
    this.#reportSoon();
  }

  #count(what: 'given' | 'taken' | 'returned' | 'lost'): void {
    this.#counts[what] += 1;
    this.#reportSoon();
  }

  #reportSoon(): void {
    if (this.#reportTimer !== null) return;
    this.#reportTimer = setTimeout(() => this.report(), reportEvery);
    this.#reportTimer.unref();
  }
}

/** What is sent with a connection. */
interface Sent {
  /** Key of the listener that it was accepted from. */
  readonly listener: string;
  readonly hops: number;
}

/** The last line of what was read: only with it a connection can have come. */
function parse(text: string): Sent | null {
  try {
    const { listener, hops } = JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as Partial<Sent>;
    return typeof listener === 'string' && typeof hops === 'number' ? { listener, hops } : null;
  } catch {
    return null;
  }
}
