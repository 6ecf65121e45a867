/** Which sockets are between two requests, looked up once for each server. */
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { idleSockets } from '../../system/node-internals.ts';

/** A look at one moment, right after a poll phase. */
export class IdleSockets {
  readonly #of = new Map<Server, ReadonlySet<Duplex> | null>();

  /** The sockets of a server; `null` if Node does not say. */
  of(server: Server): ReadonlySet<Duplex> | null {
    let idle = this.#of.get(server);
    if (idle === undefined) {
      idle = idleSockets(server);
      this.#of.set(server, idle);
    }
    return idle;
  }
}
