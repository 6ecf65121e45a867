/** UDP sockets that apps bind: the master owns each of them for as long as a worker uses it, and all workers share it. */
import { constants } from 'node:os';
import type { Settings } from '../../config/resolved.ts';
import type { WorkerMessage } from '../../protocol/messages.ts';
import { bindDatagramHandle, type Handle } from '../../system/node-internals.ts';
import { mayBindPort } from '../service/rights.ts';
import type { Pool } from '../workers/pool.ts';

type BindMessage = Extract<WorkerMessage, { type: 'bind' }>;

/** Sockets of one worker, and of all: no app has so many, and each costs a file descriptor. */
const maxOfWorker = 64;
const maxOfAll = 256;

const { EACCES, EBADF, EMFILE } = constants.errno;

interface Shared {
  readonly handle: Handle;
  /** How often it is used. */
  uses: number;
}

export class Datagrams {
  readonly #pool: Pick<Pool, 'send'>;
  readonly #shared = new Map<string, Shared>();
  /** By worker and `seq`: the key of the socket that was granted. */
  readonly #granted = new Map<number, Map<number, string>>();

  constructor(pool: Pick<Pool, 'send'>) {
    this.#pool = pool;
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#shared.size;
  }

  /** Answers a worker's `bind()` with a socket, or with the reason why there is none. */
  answer(id: number, message: BindMessage, { identity }: Pick<Settings, 'identity'>): void {
    const { seq } = message;
    const granted = this.#granted.get(id) ?? new Map<number, string>();
    // It was used before: what it stood for is not known any more.
    this.unbind(id, seq);
    const shared = granted.size >= maxOfWorker ? -EMFILE : this.#open(message, identity);
    if (typeof shared === 'number') {
      this.#pool.send(id, { type: 'unbindable', seq, errno: shared });
      return;
    }
    shared.uses += 1;
    granted.set(seq, keyOf(message));
    this.#granted.set(id, granted);
    this.#pool.send(id, { type: 'bound', seq }, shared.handle);
  }

  /** The worker has closed its socket. */
  unbind(id: number, seq: number): void {
    const granted = this.#granted.get(id);
    const key = granted?.get(seq);
    if (key === undefined) return;
    granted?.delete(seq);
    this.#release(key);
  }

  /** The worker is gone. */
  forget(id: number): void {
    for (const key of this.#granted.get(id)?.values() ?? []) this.#release(key);
    this.#granted.delete(id);
  }

  #open(message: BindMessage, identity: Settings['identity']): Shared | number {
    const { address, port, family, fd, flags } = message.query;
    // It would name one of the master's own.
    if (fd !== null || address === null) return -EBADF;
    if (!mayBindPort(port, identity)) return -EACCES;
    const key = keyOf(message);
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    if (this.#shared.size >= maxOfAll) return -EMFILE;
    const handle = bindDatagramHandle(address, port, family, flags);
    if (typeof handle === 'number') return handle;
    const shared = { handle, uses: 0 };
    this.#shared.set(key, shared);
    return shared;
  }

  #release(key: string): void {
    const shared = this.#shared.get(key);
    if (shared === undefined) return;
    shared.uses -= 1;
    if (shared.uses > 0) return;
    this.#shared.delete(key);
    shared.handle.close();
  }
}

function keyOf({ query: { address, port, family }, ordinal }: BindMessage): string {
  return `udp${family} ${address} ${port} ${ordinal}`;
}
