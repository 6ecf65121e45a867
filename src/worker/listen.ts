/**
 * Every `listen()` of the app, served with sockets that the master owns. Workers accept straight from the kernel: no
 * connection passes through the master.
 */
import net, { type Server } from 'node:net';
import { constants } from 'node:os';
import type { MasterMessage } from '../protocol/messages.ts';
import {
  closeHandle,
  type Handle,
  joinHandle,
  type ListenAnswer,
  type ListenQuery,
  prepareHandle,
  promoteHandle,
  setPipeName,
  takeOverListen,
} from '../system/node-internals.ts';
import type { Channel } from './channel.ts';
import type { Datagrams } from './datagrams.ts';

/** One kernel queue that a server accepts from. */
export interface Queue {
  readonly listener: string;
  readonly queue: number;
  readonly backlog: number;
  readonly handle: Handle;
}

/** One `listen()`, from the question to the master until the server is closed. */
interface Listening {
  readonly server: Server;
  readonly query: ListenQuery;
  readonly seq: number;
  readonly bound: boolean;
  readonly ordinal: number;
  readonly queues: Queue[];
  /** `null` once it is answered. */
  answer: ListenAnswer | null;
}

export interface ListenOptions {
  /** What `server.address()` returns if the granted socket is a unix socket. */
  readonly boundPath: string | null;
  /** Calls back when the app may have connections. */
  readonly whenWell: (proceed: () => void) => void;
  /** Called for every server before it can have connections. */
  readonly onServer: (server: Server) => void;
}

/** Decides which servers are served on the configured addresses. */
export interface BindPolicy {
  /** Whether a `listen()` made now is to be served on the configured addresses, unless another server is. */
  wantsBound(server: Server): boolean;
  /** Whether a server gives the configured addresses up to the next that listens. */
  yields(server: Server): boolean;
  /** A `listen()` was answered. */
  onSettled(server: Server): void;
}

export class Listens {
  readonly #channel: Channel;
  readonly #options: ListenOptions;
  readonly #open = new Map<number, Listening>();
  #policy: BindPolicy | null = null;
  #seq = 0;

  constructor(channel: Channel, options: ListenOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** From here on no `listen()` of this process binds anything by itself. */
  install(policy: BindPolicy, datagrams: Datagrams): void {
    this.#policy = policy;
    takeOverListen({
      serve: (server, query, answer) => this.#ask(server, query, answer),
      bind: (query, answer) => datagrams.bind(query, answer),
    });
    const { prototype } = net.Server;
    const { listen } = prototype;
    const { onServer } = this.#options;
    function listenThroughMaster(this: Server, ...args: unknown[]): Server {
      onServer(this);
      if (args.length > 0) args[0] = shareable(args[0]);
      return Reflect.apply(listen, this, args);
    }
    Object.defineProperty(prototype, 'listen', { value: listenThroughMaster, writable: true, configurable: true });
  }

  /** Whether a `listen()` still waits for its answer. */
  get isPending(): boolean {
    return [...this.#open.values()].some(({ answer }) => answer !== null);
  }

  /** Whether a server accepts connections. */
  get isListening(): boolean {
    return [...this.#open.values()].some(({ answer }) => answer === null);
  }

  /** The kernel queues that servers accept from now. */
  get queues(): readonly Queue[] {
    return [...this.#open.values()].flatMap(({ answer, queues }) => (answer === null ? queues : []));
  }

  onGrant(message: Extract<MasterMessage, { type: 'grant' }>, handle: Handle | null): void {
    const listening = this.#open.get(message.seq);
    if (listening === undefined || listening.answer === null) {
      handle?.close();
      return;
    }
    // The kernel had no descriptor left for it.
    if (handle === null) {
      this.#refuse(listening, -constants.errno.EMFILE);
      return;
    }
    const { listener, queue, backlog } = message;
    listening.queues.push({ listener, queue, backlog, handle });
    if (listening.queues.length >= message.count) this.#serve(listening);
  }

  onRefused({ seq, errno }: Extract<MasterMessage, { type: 'refused' }>): void {
    const listening = this.#open.get(seq);
    if (listening !== undefined) this.#refuse(listening, errno);
  }

  onAssign({ listener, queue, backlog }: Extract<MasterMessage, { type: 'assign' }>, handle: Handle | null): void {
    if (handle === null) return;
    const listening = this.#servedOn(listener);
    const isKnown = listening?.queues.some((known) => known.listener === listener && known.queue === queue);
    if (listening === undefined || isKnown === true || joinHandle(listening.server, handle, backlog) !== 0) {
      handle.close();
      return;
    }
    listening.queues.push({ listener, queue, backlog, handle });
  }

  onUnassign({ listener, queue }: Extract<MasterMessage, { type: 'unassign' }>): void {
    const listening = this.#servedOn(listener);
    // Without a queue a server is not listening, as far as the app can see. The last one stays.
    if (listening === undefined || listening.queues.length < 2) return;
    const index = listening.queues.findIndex((known) => known.listener === listener && known.queue === queue);
    const [left] = index < 0 ? [] : listening.queues.splice(index, 1);
    if (left === undefined) return;
    const [first] = listening.queues;
    if (index === 0 && first !== undefined) {
      this.#prepare(listening, first, null);
      promoteHandle(listening.server, first.handle);
    }
    closeHandle(left.handle);
  }

  #ask(server: Server, query: ListenQuery, answer: ListenAnswer): void {
    if (this.#isTaken(query)) {
      process.nextTick(answer, -constants.errno.EADDRINUSE);
      return;
    }
    this.#seq += 1;
    const isHeld = [...this.#open.values()].some((other) => other.bound && this.#policy?.yields(other.server) !== true);
    const bound = this.#policy?.wantsBound(server) === true && !isHeld;
    const ordinal = bound || query.port !== 0 ? 0 : this.#freeOrdinal();
    const listening: Listening = { server, query, seq: this.#seq, bound, ordinal, queues: [], answer };
    this.#open.set(listening.seq, listening);
    this.#channel.hold();
    // Not before it can serve: until then another worker accepts its clients.
    this.#options.whenWell(() => {
      if (this.#open.has(listening.seq))
        this.#channel.send({ type: 'listen', seq: listening.seq, bound, query, ordinal });
    });
  }

  #serve(listening: Listening): void {
    const { server, query, answer, queues } = listening;
    const [first, ...others] = queues;
    if (first === undefined || answer === null) return;
    listening.answer = null;
    this.#channel.release();
    this.#prepare(listening, first, query.port);
    // A unix socket does not know its own path.
    if (first.handle.getsockname === undefined) {
      const path = listening.bound ? this.#options.boundPath : query.address;
      if (path !== null) setPipeName(server, path);
    }
    answer(first.handle);
    // The app may have closed the server before the handle arrived, or the kernel may have refused it.
    if (this.#open.has(listening.seq)) {
      for (const { handle, backlog } of others) joinHandle(server, handle, backlog);
    }
    this.#policy?.onSettled(server);
  }

  #refuse(listening: Listening, errno: number): void {
    const { answer, server } = listening;
    if (answer === null) return;
    listening.answer = null;
    this.#open.delete(listening.seq);
    this.#channel.release();
    for (const { handle } of listening.queues) handle.close();
    answer(errno);
    this.#policy?.onSettled(server);
  }

  #prepare(listening: Listening, { handle, backlog }: Queue, askedPort: number | null): void {
    prepareHandle(handle, { askedPort, backlog, onClose: () => this.#closed(listening) });
  }

  /** The server was closed, and with it the first of its handles. */
  #closed(listening: Listening): void {
    if (!this.#open.delete(listening.seq)) return;
    for (const { handle } of listening.queues.slice(1)) closeHandle(handle);
    for (const listener of new Set(listening.queues.map((queue) => queue.listener))) {
      if (this.#servedOn(listener) === undefined) this.#channel.send({ type: 'unlisten', listener });
    }
  }

  #servedOn(listener: string): Listening | undefined {
    return [...this.#open.values()].find(
      ({ answer, queues }) => answer === null && queues.some((queue) => queue.listener === listener),
    );
  }

  /** The master grants the same socket to each worker; within one process a second `listen()` must fail. */
  #isTaken(query: ListenQuery): boolean {
    if (query.port === 0) return false;
    return [...this.#open.values()].some(
      ({ query: other }) =>
        other.port === query.port &&
        other.address === query.address &&
        other.addressType === query.addressType &&
        other.fd === query.fd,
    );
  }

  #freeOrdinal(): number {
    const taken = new Set(
      [...this.#open.values()].filter(({ bound, query }) => !bound && query.port === 0).map(({ ordinal }) => ordinal),
    );
    let ordinal = 0;
    while (taken.has(ordinal)) ordinal += 1;
    return ordinal;
  }
}

/** `exclusive` and `reusePort` would have the worker bind a socket of its own, which would end with it. */
function shareable(options: unknown): unknown {
  if (typeof options !== 'object' || options === null) return options;
  const { exclusive, reusePort } = options as { exclusive?: unknown; reusePort?: unknown };
  return exclusive === true || reusePort === true ? { ...options, exclusive: false, reusePort: false } : options;
}
