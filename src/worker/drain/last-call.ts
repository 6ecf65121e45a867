/**
 * Closes the last copy of the listening sockets while clients go on connecting, and resets none of them.
 *
 * The kernel resets what waits in a queue when the queue's last copy is closed, and between the last look at an empty
 * queue and the close there is always a moment. There is no call that refuses new connections and keeps those that wait.
 * But a full queue takes no one: the kernel drops what asks for a connection meanwhile, the client asks again, and is
 * refused by then. So the queue is made short, this process itself takes its places, and the sockets are closed with nobody
 * else in them. If a place was not free, the one who has it is served, and it is tried again.
 *
 * A unix socket is simpler: its path is gone by then, and with it whoever could come. What waits is accepted, all of it.
 */
import { connect, type Socket } from 'node:net';
import { handleAddress, isEstablished, setBacklog } from '../../system/node-internals.ts';
import { type ConnectCounts, connectCounts, hasHandshake } from '../../system/proc-net.ts';
import type { Queue } from '../listen.ts';
import type { Traffic } from '../traffic/traffic.ts';

/** Turns of the event loop after which it is tried even if each has brought a connection. */
const busyTurns = 20;
/** Milliseconds after which a client that found the queue full at the end of its handshake sends what it has once more. */
const repeat = 250;
/**
 * The length of the queue, and how many the kernel lets into it. With none at all it would remember no client in the middle
 * of its handshake, so that nobody could see it.
 */
const shortest = 1;
const places = shortest + 1;
/** The same as {@link repeat} for a client that has found a path before it was gone, and was interrupted in its connect(). */
const onTheWay = 250;

export class LastCall {
  readonly #traffic: Traffic;
  readonly #queues: () => readonly Queue[];
  /** Local ports of the connections of this process to itself. */
  readonly #own = new Set<number>();

  /** @param queues that this process accepts from */
  constructor(traffic: Traffic, queues: () => readonly Queue[]) {
    this.#traffic = traffic;
    this.#queues = queues;
  }

  /**
   * @param close closes all of the sockets, at once
   * @param until the last moment, of `performance.now()`: after it they are closed however it is
   */
  async run(close: () => void, until: number): Promise<void> {
    this.#traffic.ignore(({ remotePort = 0, remoteAddress, localAddress }) => {
      return remoteAddress === localAddress && this.#own.has(remotePort);
    });
    let quietTurns = 0;
    let quietAtPaths = 0;
    this.#traffic.subscribe({
      onConnection: ({ server }) => {
        if (typeof server.address() === 'string') quietAtPaths = -1;
      },
    });
    if (this.#queues().some(({ handle }) => handleAddress(handle) === null)) {
      await new Promise((resolve) => setTimeout(resolve, onTheWay).unref());
    }
    for (let turn = 1; performance.now() < until; turn += 1) {
      const { accepted } = this.#traffic.connections;
      await new Promise((resolve) => setImmediate(resolve));
      quietTurns = this.#traffic.connections.accepted === accepted ? quietTurns + 1 : 0;
      quietAtPaths += 1;
      // Two turns without a connection: the first may end before the event loop has polled at all.
      if (quietAtPaths < 2 || (quietTurns < 2 && turn % busyTurns !== 0)) continue;
      const found = await this.#closeFull(close, turn);
      if (found === 'closed') return;
      // A client that takes itself for connected must be let in first.
      if (found === 'handshake') await new Promise((resolve) => setTimeout(resolve, repeat));
    }
    close();
  }

  /**
   * Nothing here waits for the event loop's poll phase, in which this process would accept.
   *
   * @returns `closed` if all queues were full of nothing but this process itself; else who else is there
   */
  async #closeFull(close: () => void, turn: number): Promise<'closed' | 'connection' | 'handshake'> {
    const listeners = [...this.#tcp().values()];
    const calls: Socket[] = [];
    // Stays so: a queue that is longer than that takes nobody, and gets shorter with each that is accepted.
    for (const { handle } of listeners.flat()) setBacklog(handle, shortest);
    const before = connectCounts();
    let isFull = true;
    for (const queues of listeners) isFull = isFull && (await this.#fill(queues, calls, turn));
    const hasMore = isFull && listeners.length > 0 && hasSomebodyBetween(listeners.flat(), before);
    if (isFull && !hasMore) close();
    for (const call of calls) {
      if (call.localPort !== undefined) this.#own.add(call.localPort);
      call.destroy();
    }
    if (hasMore) return 'handshake';
    return isFull ? 'closed' : 'connection';
  }

  /** The queues of each listener. A socket that was passed to the service is not closed by what closes here. */
  #tcp(): Map<string, Queue[]> {
    const found = new Map<string, Queue[]>();
    for (const queue of this.#queues()) {
      if (queue.listener.startsWith('fd ') || handleAddress(queue.handle) === null) continue;
      found.set(queue.listener, [...(found.get(queue.listener) ?? []), queue]);
    }
    return found;
  }

  /** @returns whether there are connections of this process in all places of each queue. The kernel chooses the queue of each. */
  async #fill(queues: readonly Queue[], calls: Socket[], turn: number): Promise<boolean> {
    const [first] = queues;
    const address = first === undefined ? null : handleAddress(first.handle);
    if (address === null) return true;
    const host = reachable(address.address, turn);
    const own: Socket[] = [];
    const wanted = queues.length * places;
    const rounds = queues.length === 1 ? 1 : 8;
    for (let round = 0; round < rounds; round += 1) {
      for (let count = 0; count < wanted; count += 1) {
        const call = connect({ host, port: address.port });
        call.on('error', () => {});
        own.push(call);
      }
      // Node asks the kernel in the next tick.
      await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)));
      if (own.filter(isEstablished).length >= wanted) break;
    }
    calls.push(...own);
    return own.filter(isEstablished).length >= wanted;
  }
}

/** An address at which this machine reaches a socket that is bound to this one. */
function reachable(bound: string, turn: number): string {
  if (bound === '0.0.0.0') return '127.0.0.1';
  // There may be no IPv6 on the loopback interface though there is on others.
  if (bound === '::') return turn % 3 === 0 ? '127.0.0.1' : '::1';
  return bound;
}

/** Whether a client may be in the middle of its handshake. */
function hasSomebodyBetween(queues: readonly Queue[], before: ConnectCounts): boolean {
  const { cookies, overflows } = connectCounts();
  // Of too many sockets to look at each: if nothing was dropped, nobody takes itself for connected who is not.
  return cookies !== before.cookies || (hasHandshake(portsOf(queues)) ?? overflows !== before.overflows);
}

function portsOf(queues: readonly Queue[]): Set<number> {
  return new Set(queues.flatMap(({ handle }) => handleAddress(handle)?.port ?? []));
}
