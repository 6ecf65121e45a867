/** Takes connections from the queue, as new ones are accepted from the kernel's: as long as this worker has not its share. */
import type { Server } from 'node:net';
import { UnsupportedNodeError } from '../../errors.ts';
import {
  type ConnectionsIn,
  giveConnection,
  liftConnectionLimit,
  openConnectionsIn,
  type StreamHandle,
} from '../../system/node-internals.ts';
import { shortage } from '../descriptors.ts';
import type { Giving } from './giving.ts';
import type { MigrationParts, Sent } from './parts.ts';
import type { Tally } from './tally.ts';

/** Milliseconds between two looks of a worker that has its share at whether something has been left over. */
const peekEvery = 250;
const peekFor = 2;
/** Connections after which a worker looks whether it has descriptors left. */
const lookEvery = 64;
/** How often a connection is put back by workers that cannot serve it. */
const maxHops = 3;

export class Taking {
  readonly #parts: MigrationParts;
  readonly #tally: Tally;
  readonly #giving: Giving;
  /** Connections are taken while there are fewer; `null` is without a limit. */
  #take: number | null = 0;
  /** Nobody is told to take: what is in the queue all the same is this worker's as much as anybody's, to be ended well. */
  #takesLeftovers = false;
  #in: ConnectionsIn | null = null;
  #isReading = false;
  /** Nothing is read any more. */
  #isOver = false;
  #sinceLook = 0;
  #peekTimer: NodeJS.Timeout | null = null;

  /** @param giving puts back what cannot be served here */
  constructor(parts: MigrationParts, tally: Tally, giving: Giving) {
    this.#parts = parts;
    this.#tally = tally;
    this.#giving = giving;
  }

  order(take: number | null): void {
    this.#take = take;
    this.#read();
  }

  /** Every worker is without a master, and so about to leave: nobody gives any more, but something may be in the queue. */
  takeLeftovers(): void {
    this.#takesLeftovers = true;
    this.order(0);
  }

  /** Nothing is taken any more: the process is about to end. */
  finish(): void {
    this.#takesLeftovers = false;
    this.order(0);
    this.#isOver = true;
  }

  get #size(): number {
    return this.#parts.traffic.connections.open.size;
  }

  get #hasShare(): boolean {
    return this.#take !== null && this.#size >= this.#take;
  }

  /** Begins or ends to read the queue, as the order wants it. */
  #read(): void {
    this.#setReading(!this.#hasShare);
    if (this.#peekTimer !== null) clearInterval(this.#peekTimer);
    this.#peekTimer = null;
    // Something may be left over by a worker that has died, or was too slow.
    if (this.#take === null || (this.#take === 0 && !this.#takesLeftovers)) return;
    this.#peekTimer = setInterval(() => this.#peek(), peekEvery);
    this.#peekTimer.unref();
  }

  #peek(): void {
    this.#setReading(true);
    setTimeout(() => {
      if (this.#hasShare) this.#setReading(false);
    }, peekFor).unref();
  }

  #setReading(isOn: boolean): void {
    const { descriptors } = this.#parts;
    if (isOn === this.#isReading || descriptors === null || this.#isOver) return;
    if (isOn && shortage(this.#size) !== null) {
      this.#readLater();
      return;
    }
    try {
      this.#in ??= openConnectionsIn(descriptors.take, (message, handle) => this.#receive(message, handle));
    } catch {
      // Node is not what it was: other workers, or none, take what is there.
      this.#isOver = true;
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

  #receive(text: string, handle: StreamHandle | null): void {
    const sent = parse(text);
    if (handle === null || sent === null) {
      handle?.close();
      this.#tally.count('lost');
      return;
    }
    const { places } = this.#parts;
    const server = places.serverOf(sent.listener);
    const isFull = server !== null && !places.hasRoom(server);
    if (server !== null && (!isFull || sent.hops >= maxHops)) this.#serve(server, handle, isFull);
    else this.#putBack(sent, handle);
    this.#sinceLook += 1;
    if (this.#hasShare) this.#setReading(false);
    else if (this.#sinceLook >= lookEvery) {
      this.#sinceLook = 0;
      if (shortage(this.#size) !== null) this.#readLater();
    }
  }

  /** @param isFull if nobody has room, it is served all the same: it was accepted once */
  #serve(server: Server, handle: StreamHandle, isFull: boolean): void {
    const undo = isFull ? liftConnectionLimit(server) : null;
    try {
      this.#parts.traffic.connections.receive(() => giveConnection(server, handle));
      this.#tally.count('taken');
    } catch (error) {
      // What the app throws is the app's.
      if (!(error instanceof UnsupportedNodeError)) throw error;
      // The server was closed in this very moment.
      handle.close();
      this.#tally.count('lost');
    } finally {
      undo?.();
    }
  }

  /** Another worker may have room, or a server for it: one of another release, at an upgrade. */
  #putBack({ listener, hops }: Sent, handle: StreamHandle): void {
    if (hops >= maxHops) {
      this.#tally.count('lost');
      handle.close();
      return;
    }
    this.#readLater();
    this.#giving.put({ listener, hops: hops + 1 }, handle, (isGone) => {
      if (!isGone) this.#tally.count('lost');
      handle.close();
    });
  }
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
