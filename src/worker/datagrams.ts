/** Every `bind()` of a UDP socket that workers share, served with a socket that the master owns. */
import type { MasterMessage } from '../protocol/messages.ts';
import { libuvError } from '../system/errno.ts';
import {
  type DatagramQuery,
  type Handle,
  holdReceiving,
  type ListenAnswer,
  onHandleClosed,
  UV_UDP_REUSEADDR,
} from '../system/node-internals.ts';
import type { Channel } from './channel.ts';

/** One `bind()`, from the question to the master until the socket is closed. */
interface Binding {
  readonly query: DatagramQuery;
  readonly ordinal: number;
  /** `null` once it is answered. */
  answer: ListenAnswer | null;
}

export class Datagrams {
  readonly #channel: Channel;
  readonly #open = new Map<number, Binding>();
  /** Lets sockets receive that are held; `null` if none is. */
  #held: (() => void)[] | null;
  #seq = 0;

  /** @param isHeld whether sockets receive nothing until {@link admit} */
  constructor(channel: Channel, isHeld: boolean) {
    this.#channel = channel;
    this.#held = isHeld ? [] : null;
  }

  /** From now on clients may reach this worker. */
  admit(): void {
    for (const receive of this.#held ?? []) receive();
    this.#held = null;
  }

  bind(query: DatagramQuery, answer: ListenAnswer): void {
    const ordinal = this.#freeOrdinal(query);
    // The master grants the same socket to each worker; within one process a second `bind()` must fail.
    const isShared = query.port === 0 || (query.flags & UV_UDP_REUSEADDR) !== 0;
    if (!this.#channel.isConnected || (ordinal > 0 && !isShared)) {
      process.nextTick(answer, libuvError(this.#channel.isConnected ? 'EADDRINUSE' : 'EPIPE'));
      return;
    }
    this.#seq += 1;
    this.#open.set(this.#seq, { query, ordinal, answer });
    this.#channel.hold();
    this.#channel.send({ type: 'bind', seq: this.#seq, query, ordinal });
  }

  onBound({ seq }: Extract<MasterMessage, { type: 'bound' }>, handle: Handle | null): void {
    // The kernel had no descriptor left for it.
    if (handle === null) this.#refuse(seq, libuvError('EMFILE'));
    else {
      onHandleClosed(handle, () => this.#closed(seq));
      this.#held?.push(holdReceiving(handle));
      const answer = this.#settle(seq);
      if (answer === null) handle.close();
      // If the app has closed the socket meanwhile, Node closes what it is given.
      else answer(handle);
    }
  }

  onUnbindable({ seq, errno }: Extract<MasterMessage, { type: 'unbindable' }>): void {
    this.#refuse(seq, errno);
  }

  #refuse(seq: number, errno: number): void {
    const answer = this.#settle(seq);
    this.#closed(seq);
    answer?.(errno);
  }

  #settle(seq: number): ListenAnswer | null {
    const binding = this.#open.get(seq);
    if (binding === undefined || binding.answer === null) return null;
    const { answer } = binding;
    binding.answer = null;
    this.#channel.release();
    return answer;
  }

  #closed(seq: number): void {
    if (this.#open.delete(seq)) this.#channel.send({ type: 'unbind', seq });
  }

  #freeOrdinal(query: DatagramQuery): number {
    const taken = new Set(
      [...this.#open.values()].filter((other) => isSame(other.query, query)).map(({ ordinal }) => ordinal),
    );
    let ordinal = 0;
    while (taken.has(ordinal)) ordinal += 1;
    return ordinal;
  }
}

function isSame(a: DatagramQuery, b: DatagramQuery): boolean {
  return a.address === b.address && a.port === b.port && a.family === b.family && a.fd === b.fd;
}
