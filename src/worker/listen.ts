/**
 * Every `listen()` of the app, served with sockets that the master owns. Workers accept straight from the kernel: no
 * connection passes through the master.
 */
import net, { isIP, type Server } from 'node:net';
import { resolve } from 'node:path';
import type { Address } from '../config/address.ts';
import type { MasterMessage, PrivateAddress } from '../protocol/messages.ts';
import { libuvError } from '../system/errno.ts';
import {
  bindHandle,
  type CloseEvents,
  closeHandle,
  connectionLimit,
  type Expectation,
  type Handle,
  type HandleAddress,
  hasIPv6,
  holdListening,
  joinHandle,
  type ListenAnswer,
  type ListenQuery,
  prepareHandle,
  promoteHandle,
  setBacklog,
  setPipeName,
  takeOverClose,
  takeOverListen,
  UV_READABLE,
  UV_WRITABLE,
} from '../system/node-internals.ts';
import type { Channel } from './channel.ts';
import { ConnectionLimits } from './connection-limit.ts';
import type { Datagrams } from './datagrams.ts';
import { openDoor, type PrivateDoor } from './private-door.ts';

/** One kernel queue that a server accepts from. */
export interface Queue {
  readonly listener: string;
  readonly queue: number;
  readonly backlog: number;
  readonly handle: Handle;
}

/** What tells one address from another, as the master sees them. */
interface Wanted {
  readonly query: ListenQuery;
  readonly bound: boolean;
  readonly ordinal: number;
}

/** One `listen()`, from the question to the master until the server is closed. */
interface Listening extends Wanted {
  readonly server: Server;
  readonly seq: number;
  readonly queues: Queue[];
  /** `null` once it is answered. */
  answer: ListenAnswer | null;
  /** Whether the master has been asked. */
  isSent: boolean;
  /** Whether the app has asked, and not what is preloaded before it. */
  readonly isApps: boolean;
  /** Where it accepts while it is held; `null` if it is not, or if there is no such place. */
  door: PrivateDoor | null;
}

/** A listener that no server of this worker uses any more, until the master knows it. */
interface Owed {
  readonly wanted: Wanted;
  /** Servers whose `close` event waits for it. */
  readonly servers: Server[];
}

export interface ListenOptions {
  /** The first of the configured addresses. */
  readonly bound: Address | null;
  /** Calls back when the app may have connections. */
  readonly whenWell: (proceed: () => void) => void;
  /** Called for every server before it can have connections. */
  readonly onServer: (server: Server) => void;
  /** Whether this worker is on its way out: what it closes then is nobody's wish. */
  readonly isLeaving: () => boolean;
  /** Whether nobody is accepted from the service's sockets until {@link Listens.admit}. */
  readonly isHeld: boolean;
}

/** Decides which servers are served on the configured addresses. */
export interface BindPolicy {
  /** Whether a `listen()` made now is to be served on the configured addresses, unless another server is. */
  wantsBound(server: Server): boolean;
  /** Whether a server gives the configured addresses up to the next that listens. */
  yields(server: Server): boolean;
  /** Whether the main module has begun: what is preloaded before it may listen as well, and is not the app. */
  readonly hasBegun: boolean;
  /** Whether the app serves where it is to: a port 0 that it asks for from then on is for this process alone. */
  readonly isReady: boolean;
  /**
   * A `listen()` was answered, or will not be any more.
   *
   * @param isShared whether the server has an address that clients may know
   */
  onSettled(server: Server, isShared: boolean): void;
  /** The master was asked for the sockets of a `listen()`. */
  onAsked(): void;
}

export class Listens {
  readonly #channel: Channel;
  readonly #options: ListenOptions;
  readonly #open = new Map<number, Listening>();
  /** By the listener's key. */
  readonly #owed = new Map<string, Owed>();
  /** Servers whose `close` event waits until the master has let go of their address, by the listener's key. */
  readonly #closing = new Map<string, Server[][]>();
  /** Closed before there was an answer, by the number of the question. */
  readonly #abandoned = new Map<number, { readonly wanted: Wanted; granted: number }>();
  /** What `listen()` was told that does not come with Node's question. */
  readonly #asides = new WeakMap<Server, Aside>();
  /** Also of servers that are closed: their connections are still there. */
  readonly #listenerOf = new WeakMap<Server, string>();
  readonly #limits = new ConnectionLimits();
  #closeEvents: CloseEvents | null = null;
  #policy: BindPolicy | null = null;
  #isHeld: boolean;
  #seq = 0;
  #zeros = 0;

  constructor(channel: Channel, options: ListenOptions) {
    this.#channel = channel;
    this.#options = options;
    this.#isHeld = options.isHeld;
  }

  /** Whether servers accept at private addresses only. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Where servers that are held accept, the one that is served on the configured addresses first. */
  get privateAddresses(): readonly PrivateAddress[] {
    const all = [...this.#open.values()].sort((a, b) => Number(b.bound) - Number(a.bound));
    return all.flatMap(({ door, queues }) => {
      const [first] = queues;
      return door === null || first === undefined ? [] : [{ listener: first.listener, ...door.address }];
    });
  }

  /** Servers accept from the service's sockets from now on, and at private addresses no more. */
  admit(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    for (const listening of this.#open.values()) {
      if (listening.answer !== null || listening.queues.length === 0) continue;
      const { server, queues } = listening;
      for (const { handle, backlog } of queues) setBacklog(handle, backlog);
      listening.door?.close();
      listening.door = null;
      this.#limits.watch(server, () => queues);
    }
  }

  /** From here on no `listen()` of this process binds anything by itself. */
  install(policy: BindPolicy, datagrams: Datagrams): void {
    this.#policy = policy;
    this.#closeEvents = takeOverClose();
    takeOverListen({
      serve: (server, query, answer) => this.#ask(server, query, answer),
      bind: (query, answer) => datagrams.bind(query, answer),
    });
    const { prototype } = net.Server;
    const { listen } = prototype;
    const { onServer } = this.#options;
    const asides = this.#asides;
    function listenThroughMaster(this: Server, ...args: unknown[]): Server {
      onServer(this);
      // Now: the address may be looked up first.
      if (!this.listening) asides.set(this, asideOf(args[0], policy.hasBegun));
      if (args.length > 0) args[0] = shareable(args[0]);
      return Reflect.apply(listen, this, args);
    }
    Object.defineProperty(prototype, 'listen', { value: listenThroughMaster, writable: true, configurable: true });
  }

  /** Whether a `listen()` of the app still waits for its answer. */
  get isPending(): boolean {
    return [...this.#open.values()].some(({ answer, isApps }) => isApps && answer !== null);
  }

  /** Whether the master was asked for all that waits for an answer. */
  get isAsked(): boolean {
    return (
      this.isPending &&
      [...this.#open.values()].every(({ answer, isApps, isSent }) => isSent || answer === null || !isApps)
    );
  }

  /** Whether a server of the app accepts connections. */
  get isListening(): boolean {
    return [...this.#open.values()].some(({ answer, isApps }) => isApps && answer === null);
  }

  /** The kernel queues that servers accept from now. */
  get queues(): readonly Queue[] {
    if (this.#isHeld) return [];
    return [...this.#open.values()].flatMap(({ answer, queues }) => (answer === null ? queues : []));
  }

  /** The key of the listener that a server accepts from, or did last; of one that has several, the first. */
  listenerOf(server: Server): string | null {
    return this.#listenerOf.get(server) ?? null;
  }

  /** The server that accepts from a listener. */
  serverOf(listener: string): Server | null {
    return this.#servedOn(listener)?.server ?? null;
  }

  /** Whether a server takes a further connection, as far as its `maxConnections` says. */
  hasRoom(server: Server): boolean {
    const { connections, most } = connectionLimit(server);
    return most === null || connections < most;
  }

  onGrant(message: Extract<MasterMessage, { type: 'grant' }>, handle: Handle | null): void {
    const { listener, queue, backlog, seq, count } = message;
    const listening = this.#open.get(seq);
    if (listening === undefined || listening.answer === null) {
      handle?.close();
      const abandoned = this.#abandoned.get(seq);
      if (abandoned === undefined) return;
      abandoned.granted += 1;
      if (abandoned.granted === count) this.#abandoned.delete(seq);
      this.#giveBack(listener, abandoned.wanted, null);
      return;
    }
    // The kernel had no descriptor left for it.
    if (handle === null) {
      this.#refuse(listening, libuvError('EMFILE'));
      return;
    }
    listening.queues.push({ listener, queue, backlog, handle });
    if (listening.queues.length >= count) this.#serve(listening);
  }

  onRefused({ seq, errno }: Extract<MasterMessage, { type: 'refused' }>): void {
    this.#abandoned.delete(seq);
    const listening = this.#open.get(seq);
    if (listening !== undefined) this.#refuse(listening, errno);
  }

  /** The master has let go of a listener, unless others use it. */
  onUnlistened({ listener }: Extract<MasterMessage, { type: 'unlistened' }>): void {
    const [servers, ...later] = this.#closing.get(listener) ?? [];
    if (later.length === 0) this.#closing.delete(listener);
    else this.#closing.set(listener, later);
    if (servers === undefined) return;
    this.#channel.release();
    this.#closed(servers);
  }

  /** The worker leaves, or there is no master any more: no server waits for one. */
  leave(): void {
    const all = [...this.#closing.values()].flat();
    this.#closing.clear();
    for (const servers of all) {
      this.#channel.release();
      this.#closed(servers);
    }
  }

  onPeers({ othersAccept }: Extract<MasterMessage, { type: 'peers' }>): void {
    this.#limits.onPeers(othersAccept);
  }

  /** Leaves new connections to other workers, if there are any, or takes them again. */
  hold(isOn: boolean): void {
    this.#limits.hold(isOn);
  }

  /** Nobody else is going to accept what waits in the queues. */
  takeAll(): void {
    this.#limits.takeAll();
  }

  onAssign({ listener, queue, backlog }: Extract<MasterMessage, { type: 'assign' }>, handle: Handle | null): void {
    if (handle === null) return;
    const listening = this.#servedOn(listener);
    const isKnown = listening?.queues.some((known) => known.listener === listener && known.queue === queue);
    if (this.#isHeld) holdListening(handle);
    if (listening === undefined || isKnown === true || joinHandle(listening.server, handle, backlog) !== 0) {
      handle.close();
      return;
    }
    listening.queues.push({ listener, queue, backlog, handle });
    if (!this.#isHeld) this.#limits.watch(listening.server, () => listening.queues);
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
      this.#prepare(listening, first);
      promoteHandle(listening.server, first.handle);
    }
    closeHandle(left.handle);
  }

  #ask(server: Server, asked: ListenQuery, answer: ListenAnswer): Expectation | null {
    const { isApps, isPrivate, rights } = this.#asides.get(server) ?? noAside;
    const query = { ...asked, flags: asked.flags | (asked.addressType === -1 ? rights : 0) };
    if (this.#isTaken(query)) {
      answer(libuvError('EADDRINUSE'));
      return null;
    }
    this.#seq += 1;
    const isHeld = [...this.#open.values()].some((other) => other.bound && this.#policy?.yields(other.server) !== true);
    const bound = isApps && this.#policy?.wantsBound(server) === true && !isHeld;
    const isZero = !bound && query.port === 0;
    const isOwn = isZero && (isPrivate || (this.#policy?.isReady === true && !this.#options.isLeaving()));
    const ordinal = isZero && !isOwn ? this.#zeros++ : 0;
    const listening: Listening = {
      server,
      query,
      seq: this.#seq,
      bound,
      ordinal,
      queues: [],
      answer,
      isSent: false,
      isApps,
      door: null,
    };
    this.#open.set(listening.seq, listening);
    if (isOwn) {
      this.#bindOwn(listening);
      return null;
    }
    this.#channel.hold();
    // Not before it can serve: until then another worker accepts its clients.
    this.#options.whenWell(() => {
      if (!this.#open.has(listening.seq)) return;
      listening.isSent = true;
      this.#channel.send({ type: 'listen', seq: listening.seq, bound, query: absolute(query), ordinal });
      this.#policy?.onAsked();
    });
    if (bound && this.#options.bound?.kind === 'unix') setPipeName(server, this.#options.bound.path);
    return { address: this.#addressToBe(listening), onClose: () => this.#abandon(listening) };
  }

  /** A port that no other process is to know: as under plain node it is there at once, and gone with the server. */
  #bindOwn(listening: Listening): void {
    const { answer, query, server } = listening;
    if (answer === null) return;
    listening.answer = null;
    const { address, addressType, flags } = query;
    const handle = bindHandle(address, 0, addressType, null, flags);
    if (typeof handle === 'number') this.#open.delete(listening.seq);
    else prepareHandle(handle, { backlog: null, onClose: () => this.#unused(listening) });
    answer(handle);
    this.#policy?.onSettled(server, false);
  }

  /** What `server.address()` says while the answer is awaited. */
  #addressToBe({ bound, query }: Listening): HandleAddress | null {
    const configured = this.#options.bound;
    if (bound) {
      if (configured?.kind !== 'tcp' || configured.port === 0) return null;
      return addressFor(configured.host, configured.port);
    }
    if (query.addressType === -1 || query.fd !== null || query.port === null || query.port === 0) return null;
    return addressFor(query.address ?? (hasIPv6() ? '::' : '0.0.0.0'), query.port);
  }

  #serve(listening: Listening): void {
    const { server, query, answer, queues } = listening;
    const [first, ...others] = queues;
    if (first === undefined || answer === null) return;
    listening.answer = null;
    this.#channel.release();
    this.#listenerOf.set(server, first.listener);
    if (this.#isHeld) for (const { handle } of queues) holdListening(handle);
    this.#prepare(listening, first);
    // A unix socket does not know its own path.
    if (first.handle.getsockname === undefined) {
      const { bound } = this.#options;
      const path = listening.bound && bound?.kind === 'unix' ? bound.path : query.address;
      if (path !== null) setPipeName(server, path);
    }
    answer(first.handle);
    // The kernel may have refused it.
    if (this.#open.has(listening.seq)) {
      for (const { handle, backlog } of others) joinHandle(server, handle, backlog);
      if (this.#isHeld) listening.door = openDoor(server, first.backlog);
      else this.#limits.watch(server, () => queues);
    }
    this.#policy?.onSettled(server, listening.isApps);
    this.#payOwed();
  }

  #refuse(listening: Listening, errno: number): void {
    const { answer, server } = listening;
    if (answer === null) return;
    listening.answer = null;
    this.#open.delete(listening.seq);
    this.#channel.release();
    for (const { handle } of listening.queues) handle.close();
    answer(errno);
    this.#policy?.onSettled(server, listening.isApps);
    this.#payOwed();
  }

  /** The app has closed the server before there was an answer. */
  #abandon(listening: Listening): void {
    if (listening.answer === null || !this.#open.delete(listening.seq)) return;
    listening.answer = null;
    const { queues } = listening;
    if (listening.isSent) this.#abandoned.set(listening.seq, { wanted: listening, granted: queues.length });
    for (const { handle, listener } of queues) {
      handle.close();
      this.#giveBack(listener, listening, null);
    }
    this.#channel.release();
    this.#policy?.onSettled(listening.server, listening.isApps);
  }

  #prepare(listening: Listening, { handle, backlog }: Queue): void {
    prepareHandle(handle, { backlog, onClose: () => this.#unused(listening) });
  }

  /** The server was closed, and with it the first of its handles. */
  #unused(listening: Listening): void {
    if (!this.#open.delete(listening.seq)) return;
    this.#limits.forget(listening.server);
    listening.door?.close();
    for (const { handle } of listening.queues.slice(1)) closeHandle(handle);
    for (const listener of new Set(listening.queues.map((queue) => queue.listener)))
      this.#giveBack(listener, listening, listening.server);
  }

  /** @param server whose `close` event waits until the address is free, as it is under plain node */
  #giveBack(listener: string, wanted: Wanted, server: Server | null): void {
    const owed = this.#owed.get(listener) ?? { wanted, servers: [] };
    this.#owed.set(listener, owed);
    if (server !== null && this.#channel.isOpen && !this.#options.isLeaving()) {
      this.#closeEvents?.hold(server);
      owed.servers.push(server);
    }
    this.#payOwed();
  }

  /** Tells the master of each listener that is not used any more; not while an answer may bring the same again. */
  #payOwed(): void {
    for (const [listener, { servers, wanted }] of this.#owed) {
      const isUsed = this.#servedOn(listener) !== undefined;
      const isAsked = [...this.#open.values()].some((other) => other.answer !== null && isSame(other, wanted));
      if (isAsked && !isUsed) {
        this.#closed(servers.splice(0));
        continue;
      }
      this.#owed.delete(listener);
      if (isUsed) this.#closed(servers);
      else {
        this.#closing.set(listener, [...(this.#closing.get(listener) ?? []), servers]);
        this.#channel.hold();
        this.#channel.send({ type: 'unlisten', listener });
      }
    }
  }

  #servedOn(listener: string): Listening | undefined {
    return [...this.#open.values()].find(
      ({ answer, queues }) => answer === null && queues.some((queue) => queue.listener === listener),
    );
  }

  #closed(servers: readonly Server[]): void {
    for (const server of servers) this.#closeEvents?.release(server);
  }

  /** The master grants the same socket to each worker; within one process a second `listen()` must fail. */
  #isTaken(query: ListenQuery): boolean {
    if (query.port === 0) return false;
    return [...this.#open.values()].some(({ query: other }) => isSamePlace(other, query));
  }
}

function isSame(one: Wanted, other: Wanted): boolean {
  if (one.bound !== other.bound) return false;
  return one.bound || (one.ordinal === other.ordinal && isSamePlace(one.query, other.query));
}

function isSamePlace(one: ListenQuery, other: ListenQuery): boolean {
  return (
    one.port === other.port &&
    absolute(one).address === absolute(other).address &&
    one.addressType === other.addressType &&
    one.fd === other.fd
  );
}

/** The master's working directory may be another. */
function absolute(query: ListenQuery): ListenQuery {
  const { address, addressType } = query;
  if (addressType !== -1 || address === null || address.startsWith('\0')) return query;
  return { ...query, address: resolve(address) };
}

function addressFor(address: string, port: number): HandleAddress | null {
  const version = isIP(address);
  return version === 0 ? null : { address, family: version === 6 ? 'IPv6' : 'IPv4', port };
}

/** What the options of `listen()` say beside the address. */
interface Aside {
  /** Whether the app has called it, and not what is preloaded before it. */
  readonly isApps: boolean;
  /** `exclusive`: not shared with other workers. */
  readonly isPrivate: boolean;
  /** `readableAll` and `writableAll`, as flags. */
  readonly rights: number;
}

const noAside: Aside = { isApps: true, isPrivate: false, rights: 0 };

function asideOf(options: unknown, isApps: boolean): Aside {
  if (typeof options !== 'object' || options === null) return { ...noAside, isApps };
  const { exclusive, readableAll, writableAll } = options as Readonly<Record<string, unknown>>;
  return {
    isApps,
    isPrivate: exclusive === true,
    rights: (readableAll === true ? UV_READABLE : 0) | (writableAll === true ? UV_WRITABLE : 0),
  };
}

/** `exclusive` and `reusePort` would have the worker bind a socket of its own, which would end with it. */
function shareable(options: unknown): unknown {
  if (typeof options !== 'object' || options === null) return options;
  const { exclusive, reusePort } = options as { exclusive?: unknown; reusePort?: unknown };
  return exclusive === true || reusePort === true ? { ...options, exclusive: false, reusePort: false } : options;
}
