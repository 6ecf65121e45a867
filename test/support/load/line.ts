/**
 * A slow line: a forwarder that hands on everything a connection carries a while later, the ends included. On loopback
 * the end of a connection is there before the next request; over a real network the two cross, and requests are lost.
 *
 * Bytes, the end of a side (FIN) and a reset (RST) come out in the order in which they went in, never earlier than their
 * delay says. The sides of a connection end independently of each other.
 */
import { chmodSync } from 'node:fs';
import net from 'node:net';
import { Random } from '../random.ts';
import { socketAddressOf, type Target } from '../request.ts';

/** Milliseconds: always so many, or so many as are drawn for a connection when it opens, and stay for its life. */
export type Delay = number | readonly [least: number, most: number];

export interface LineSpec {
  /** Where connections go: TCP or a unix socket. */
  readonly to: Target;
  /** From the client to the service. */
  readonly there: Delay;
  /** From the service to the client; as `there` unless told. */
  readonly back?: Delay;
  /** A path to listen on; a free TCP port of 127.0.0.1 unless told. */
  readonly socketPath?: string;
  /** Of the delays that are drawn. */
  readonly seed?: number;
}

/** What has passed, since the line is there. */
export interface LineCounts {
  /** Connections that clients opened. */
  readonly opened: number;
  /** Of those, that the service did not take. */
  readonly refused: number;
  /** Connections of which one side at least is not closed. */
  readonly open: number;
  /** Bytes handed on, of each direction. */
  readonly bytesThere: number;
  readonly bytesBack: number;
  /** Orderly ends handed on, of each direction. */
  readonly endsThere: number;
  readonly endsBack: number;
  /** Resets handed on, of each direction. */
  readonly resetsThere: number;
  readonly resetsBack: number;
}

/** Bytes on their way in one direction of a connection, above which no more are read. */
const heldAtMost = 256 * 1024;

type Item = Buffer | 'end' | 'reset';

/** What a direction tells when it hands something on. */
type Told = (what: 'bytes' | 'end' | 'reset', bytes: number) => void;

interface How {
  readonly delay: number;
  /** Milliseconds from the opening after which the side where it begins knows that it is connected. */
  readonly knownAfter: number;
  /** Whether the side where it comes out is TCP. */
  readonly isTcp: boolean;
}

/** One direction of one connection. */
class Direction {
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  readonly #how: How;
  readonly #told: Told;
  #queue: { readonly at: number; readonly item: Item }[] = [];
  readonly #openedAt = performance.now();
  #lastAt = 0;
  #held = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Nothing comes after a reset. */
  #over = false;

  constructor(from: net.Socket, to: net.Socket, how: How, told: Told) {
    this.#from = from;
    this.#to = to;
    this.#how = how;
    this.#told = told;
    from.on('data', (chunk: Buffer) => {
      this.#held += chunk.length;
      if (this.#held > heldAtMost) from.pause();
      this.#put(chunk);
    });
    from.on('end', () => this.#put(isReset(from) ? 'reset' : 'end'));
    from.on('error', () => this.reset());
  }

  /** The connection has failed on the side where this direction begins. */
  reset(): void {
    this.#put('reset');
    this.#over = true;
  }

  #put(item: Item): void {
    if (this.#over) return;
    const { delay, knownAfter } = this.#how;
    const now = performance.now();
    // Here it knows at once: what it sends before is as early as that.
    const early = now - this.#openedAt < knownAfter ? knownAfter : 0;
    const at = Math.max(now + early + delay, this.#lastAt);
    this.#lastAt = at;
    this.#queue.push({ at, item });
    this.#wait();
  }

  #wait(): void {
    const next = this.#queue[0];
    if (next === undefined || this.#timer !== null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#release();
      },
      Math.max(0, Math.ceil(next.at - performance.now())),
    );
  }

  #release(): void {
    const now = performance.now();
    let due = 0;
    while ((this.#queue[due]?.at ?? Number.POSITIVE_INFINITY) <= now) {
      // Not in the same moment as the bytes before it, which the other side might then not read any more.
      if (due > 0 && this.#queue[due]?.item === 'reset') break;
      due++;
    }
    for (const { item } of this.#queue.splice(0, due)) this.#handOn(item);
    this.#wait();
  }

  #handOn(item: Item): void {
    const to = this.#to;
    if (typeof item !== 'string') {
      if (!to.writable) {
        this.#passed(item.length);
        return;
      }
      to.write(item, () => this.#passed(item.length));
      this.#told('bytes', item.length);
    } else if (item === 'end') {
      if (!to.writable) return;
      to.end();
      this.#told('end', 0);
    } else if (!to.destroyed) {
      // A unix socket knows no reset; what is left of it is its end.
      if (this.#how.isTcp) to.resetAndDestroy();
      else to.destroy();
      this.#told('reset', 0);
    }
  }

  #passed(bytes: number): void {
    this.#held -= bytes;
    if (this.#held <= heldAtMost / 2 && this.#from.isPaused()) this.#from.resume();
  }
}

/**
 * libuv takes a reset for an orderly end where bytes came with it that had not been read. The kernel knows better: only
 * of a connection that has been reset it does not tell the other side's address any more. (A reset that follows an end is
 * known once more is written to that side, as everywhere.)
 */
function isReset(socket: net.Socket): boolean {
  // A unix socket has no addresses, and no resets. After an end of both sides there is no other side either.
  return socket.localAddress !== undefined && socket.writable && socket.remoteAddress === undefined;
}

/** A listening line. */
export class Line {
  readonly #spec: LineSpec;
  readonly #random: Random;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #counts: { -readonly [name in keyof LineCounts]: number } = {
    opened: 0,
    refused: 0,
    open: 0,
    bytesThere: 0,
    bytesBack: 0,
    endsThere: 0,
    endsBack: 0,
    resetsThere: 0,
    resetsBack: 0,
  };

  constructor(spec: LineSpec) {
    this.#spec = spec;
    this.#random = new Random(spec.seed ?? Math.floor(Math.random() * 2 ** 31));
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#carry(client));
  }

  get counts(): LineCounts {
    return { ...this.#counts };
  }

  /** Listens. @returns where clients find it */
  async listen(): Promise<Target> {
    const { socketPath, to } = this.#spec;
    const secure = to.secure === true ? { secure: true } : {};
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      if (socketPath === undefined) this.#server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve);
      else this.#server.listen({ path: socketPath, backlog: 4_096 }, resolve);
    });
    if (socketPath !== undefined) {
      chmodSync(socketPath, 0o600);
      return { socketPath, ...secure };
    }
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the line has no port');
    return { port: address.port, ...secure };
  }

  /** Stops at once, with what is on its way. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(client: net.Socket): void {
    const counts = this.#counts;
    const there = this.#draw(this.#spec.there);
    const back = this.#draw(this.#spec.back ?? this.#spec.there);
    const service = new net.Socket({ allowHalfOpen: true });
    // The SYN takes as long as everything else.
    setTimeout(() => {
      if (service.destroyed) return;
      service.connect({ ...socketAddressOf(this.#spec.to), noDelay: true });
    }, there);
    counts.opened++;
    counts.open++;
    let open = 2;
    for (const socket of [client, service]) {
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        open--;
        if (open === 0) counts.open--;
      });
    }
    let isReached = false;
    service.once('connect', () => {
      isReached = true;
    });
    service.once('error', () => {
      if (!isReached) counts.refused++;
    });
    const [fromTcp, toTcp] = [this.#spec.socketPath === undefined, !('socketPath' in this.#spec.to)];
    new Direction(client, service, { delay: there, knownAfter: there + back, isTcp: toTcp }, (what, bytes) => {
      if (what === 'bytes') counts.bytesThere += bytes;
      else if (what === 'end') counts.endsThere++;
      else counts.resetsThere++;
    });
    new Direction(service, client, { delay: back, knownAfter: 0, isTcp: fromTcp }, (what, bytes) => {
      if (what === 'bytes') counts.bytesBack += bytes;
      else if (what === 'end') counts.endsBack++;
      else counts.resetsBack++;
    });
  }

  #draw(delay: Delay): number {
    return typeof delay === 'number' ? delay : this.#random.between(delay[0], delay[1]);
  }
}
