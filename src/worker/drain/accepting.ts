/** The end of accepting, without a connection lost: neither one that waits in a queue nor one that is idle. */
import net, { type Server } from 'node:net';
import type { Traffic } from '../traffic/traffic.ts';

export class Accepting {
  readonly #traffic: Traffic;
  /** Servers that were stopped here. */
  readonly #stopped = new WeakSet<Server>();

  constructor(traffic: Traffic) {
    this.#traffic = traffic;
  }

  get isOver(): boolean {
    return [...this.#traffic.servers].every((server) => !server.listening);
  }

  /**
   * Accepts what already waits to be accepted: the kernel resets it when the last process that holds the socket closes
   * it. The event loop accepts no more than one connection a turn.
   *
   * @param until at the latest, of `performance.now()`
   */
  async emptyQueue(until: number): Promise<void> {
    let quietTurns = 0;
    // Two turns without a connection: the first may end before the event loop has polled at all.
    do {
      const { accepted } = this.#traffic.connections;
      await new Promise((resolve) => setImmediate(resolve));
      quietTurns = this.#traffic.connections.accepted === accepted ? quietTurns + 1 : 0;
    } while (quietTurns < 2 && performance.now() < until);
  }

  stop(): void {
    for (const server of this.#traffic.servers) {
      if (!server.listening) continue;
      this.#stopped.add(server);
      // Not http's or http2's own close(), which ends idle connections at once: a client may be using them this moment.
      net.Server.prototype.close.call(server);
    }
  }

  /**
   * Mends `server.close()`: the app calls it after the drain, as it would under plain node, and must get neither an
   * error because the server is not running, nor a second 'close' event.
   *
   * @param isDrained whether the drain is over
   */
  mendClose(isDrained: () => boolean): void {
    const { prototype } = net.Server;
    const { close } = prototype;
    const stopped = this.#stopped;
    function closeStopped(this: Server, callback?: (error?: Error) => void): Server {
      if (!stopped.has(this) || this.listening) return Reflect.apply(close, this, [callback]);
      if (typeof callback !== 'function') return this;
      if (isDrained()) process.nextTick(callback);
      else this.once('close', () => callback());
      return this;
    }
    Object.defineProperty(prototype, 'close', { value: closeStopped, writable: true, configurable: true });
  }
}
