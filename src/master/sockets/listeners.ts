/**
 * The listening sockets. The master owns them from bind to exit: a socket that closes while connections wait in its
 * queue resets them, so none is closed while a client may still wait in it.
 */
import { isIP } from 'node:net';
import { constants } from 'node:os';
import type { Address } from '../../config/address.ts';
import { BindError, messageOf } from '../../errors.ts';
import {
  type Handle,
  handleAddress,
  type ListenQuery,
  supportsReusePort,
  UV_TCP_IPV6ONLY,
} from '../../system/node-internals.ts';
import { inodeOf, removeIfOurs } from '../../system/paths.ts';
import { arm } from './arm.ts';
import { type BindOptions, bindFurther, bindTarget, resolveTarget, type Target, tcpLabel } from './bind.ts';
import { type InheritedListener, InheritedListeners } from './inherited-listeners.ts';
import { bindAnew, taken, whatIsAt } from './restore.ts';
import { changeRights, isAbstract, modeFor, type SocketRights } from './unix-socket.ts';

export interface Listener {
  /** Equal for equal addresses: tells on reload what is new, and on `listen()` what is shared. */
  readonly key: string;
  /** The address it is bound to, as an operator writes it; a port 0 is shown as the port it became. */
  readonly label: string;
  readonly backlog: number;
  readonly queues: readonly Handle[];
  /** As of a {@link ListenQuery}. */
  readonly flags: number;
}

export class Listeners {
  #options: BindOptions;
  readonly #open = new Map<string, Listener>();
  /** Sockets that were passed to us and are not served now: closed, they could not be had again. */
  readonly #parked = new Map<string, Listener>();
  /** Binds under way, so that workers that ask at the same time get the same socket. */
  readonly #opening = new Map<string, Promise<Listener>>();

  /** To which addresses host names led when they were bound, by label: what is bound needs no look-up any more. */
  readonly #names = new Map<string, string>();

  /** The files of our unix sockets, by key. */
  readonly #inodes = new Map<string, bigint | null>();
  /** Those that libuv does not remove at their end: they were bound under another name. */
  readonly #renamed = new Set<string>();
  /** Why clients cannot connect to a unix socket any more, by key. */
  readonly #problems = new Map<string, BindError>();

  /** What the master before us had open. */
  readonly #inherited: InheritedListeners;
  /** Another master has these sockets as well. */
  #isShared = false;
  /** Unix sockets that are of no use any more, but share their paths with another master's. */
  readonly #kept: Listener[] = [];
  /** Keys of what the configuration has named. */
  readonly #configured = new Set<string>();

  constructor(options: BindOptions, inherited: readonly InheritedListener[] = []) {
    this.#options = options;
    this.#inherited = new InheritedListeners(inherited);
    for (const { key, names = [] } of inherited) for (const name of names) this.#names.set(name, hostOf(key));
  }

  /** Everything, for another master; but for what was passed to us, which it finds under its number. */
  bequest(): InheritedListener[] {
    return this.all()
      .filter(({ key }) => !isPassed(key))
      .map(({ key, queues }) => ({
        key,
        path: pathOf(key),
        inode: this.#inodes.get(key)?.toString() ?? null,
        fds: queues.map(({ fd }) => fd),
        names: [...this.#names].filter(([, host]) => host === hostOf(key)).map(([name]) => name),
      }));
  }

  /** While another master has the sockets as well, closing ours must not take a unix socket's path from it. */
  share(isShared: boolean): void {
    this.#isShared = isShared;
    if (!isShared) for (const listener of this.#kept.splice(0)) this.#closeQueues(listener);
  }

  /** Whether another master has the sockets as well, and goes on accepting. */
  get isShared(): boolean {
    return this.#isShared;
  }

  /** This master has taken over. @throws Error if what the one before has bound keeps the rights it had */
  takeCharge(): void {
    this.#inherited.takeCharge();
    const problems = this.#applyRights();
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  /** The master before us is gone: paths are ours to remove. */
  own(): void {
    this.#inherited.own();
  }

  /** The workers have what they want: once this master has taken over, what is left of the inherited sockets is closed. */
  settle(): void {
    this.#inherited.settle();
  }

  /** All that are open, in the order in which they were bound. */
  all(): readonly Listener[] {
    return [...this.#open.values()];
  }

  /**
   * Brings back the paths of unix sockets that somebody has removed, each with a new socket: a path that is gone leads to
   * none, whoever has it open. Workers have the old one until they are replaced.
   *
   * @returns labels of those that are there again, and what could not be done
   */
  async restore(): Promise<{ readonly restored: readonly string[]; readonly problems: readonly BindError[] }> {
    const restored: string[] = [];
    // Two masters share them: the one that stays looks after them.
    if (this.#isShared) return { restored, problems: [] };
    for (const listener of this.all()) {
      const path = pathOf(listener.key);
      if (path === null) continue;
      try {
        if (await this.#restoreOne(path, listener)) restored.push(listener.label);
        this.#problems.delete(listener.key);
      } catch (error) {
        if (!(error instanceof BindError)) throw error;
        this.#problems.set(listener.key, error);
      }
    }
    return { restored, problems: [...this.#problems.values()] };
  }

  /** Why clients cannot connect to it, as far as is known; `null` if they can. */
  problemOf(key: string): BindError | null {
    return this.#problems.get(key) ?? null;
  }

  /** @returns whether it had to be. @throws BindError if it cannot be */
  async #restoreOne(path: string, { key, label, backlog, queues, flags }: Listener): Promise<boolean> {
    const what = whatIsAt(path, this.#inodes.get(key) ?? null);
    if (what === 'ours') return false;
    if (what === 'other') throw taken(path);
    const { handle, error } = await bindAnew(path, queues, this.#options);
    const listener = { key, label, backlog, queues: [handle], flags };
    this.#open.set(key, listener);
    this.#inherited.disown(key);
    this.#renamed.add(key);
    this.#inodes.set(key, error === null ? inodeOf(path) : null);
    if (error !== null) throw error;
    await arm([listener]);
    return true;
  }

  get(key: string): Listener | undefined {
    return this.#open.get(key);
  }

  /** Whether the configuration has named it, since it was opened: no worker decides about it. */
  isConfigured(key: string): boolean {
    return this.#configured.has(key);
  }

  fds(): number[] {
    return this.all().flatMap((listener) => listener.queues.map((queue) => queue.fd));
  }

  /**
   * Opens what is not open yet; all or nothing.
   *
   * @param rights of unix sockets that are new
   * @returns the listeners of all the addresses, and the keys of those that are new
   * @throws BindError
   */
  async openAll(
    addresses: readonly Address[],
    backlog: number,
    rights: SocketRights = this.#options,
  ): Promise<{ listeners: Listener[]; added: string[] }> {
    const listeners: Listener[] = [];
    const added: string[] = [];
    try {
      for (const [index, address] of addresses.entries()) {
        const target = this.#known(address, index) ?? (await resolveTarget(address));
        const key = keyOf(target, index);
        if (!this.#open.has(key)) added.push(key);
        listeners.push(await this.#ensure(key, target, backlog, rights));
        if (address.kind === 'tcp' && target.host !== null && target.host !== address.host)
          this.#names.set(target.label, target.host);
        this.#configured.add(key);
      }
      return { listeners, added };
    } catch (error) {
      for (const key of added) this.close(key);
      throw error;
    }
  }

  /** What a host name led to, if that is open already: name servers may be out of reach, or say something else by now. */
  #known(address: Address, index: number): Target | null {
    if (address.kind !== 'tcp') return null;
    const label = tcpLabel(address.host, address.port);
    const host = this.#names.get(label);
    if (host === undefined) return null;
    const target: Target = {
      label,
      host,
      port: address.port,
      addressType: isIP(host) === 6 ? 6 : 4,
      fd: null,
      flags: 0,
    };
    const key = keyOf(target, index);
    return this.#open.has(key) || this.#opening.has(key) || this.#inherited.has(key) ? target : null;
  }

  /**
   * Opens what an app's own `listen()` names.
   *
   * @throws BindError
   */
  openQuery(query: ListenQuery, ordinal: number, backlog: number): Promise<Listener> {
    const target = targetOf(query);
    return this.#ensure(keyOf(target, `app ${ordinal}`), target, backlog);
  }

  /** Whether what an app's `listen()` names is open already. */
  isOpen(query: ListenQuery, ordinal: number): boolean {
    return this.#open.has(keyOf(targetOf(query), `app ${ordinal}`));
  }

  close(key: string): void {
    const listener = this.#open.get(key);
    this.#open.delete(key);
    this.#configured.delete(key);
    if (listener !== undefined && isPassed(key)) {
      this.#parked.set(key, listener);
      return;
    }
    if (listener === undefined || this.#inherited.takeBack(listener)) return;
    // libuv would unlink the path.
    if (this.#isShared && pathOf(key) !== null) {
      this.#kept.push(listener);
      return;
    }
    this.#closeQueues(listener);
  }

  #closeQueues({ key, queues }: Listener): void {
    for (const queue of queues) queue.close();
    this.#inherited.unlink(key);
    if (this.#renamed.delete(key)) removeIfOurs(pathOf(key), this.#inodes.get(key) ?? null);
    this.#inodes.delete(key);
    this.#problems.delete(key);
  }

  closeAll(): void {
    for (const key of [...this.#open.keys()]) this.close(key);
    for (const { queues } of this.#parked.values()) for (const queue of queues) queue.close();
    this.#parked.clear();
  }

  /**
   * Gives the unix sockets that are open other rights, if these are others than before.
   *
   * @returns what could not be done, a line each
   */
  setRights({ socketMode, socketOwner }: SocketRights): string[] {
    const { socketMode: mode, socketOwner: owner } = this.#options;
    if (socketMode === mode && socketOwner?.uid === owner?.uid && socketOwner?.gid === owner?.gid) return [];
    this.#options = { ...this.#options, socketMode, socketOwner };
    return this.#applyRights();
  }

  #applyRights(): string[] {
    const { socketMode, socketOwner } = this.#options;
    return this.all().flatMap(({ flags, key }) => {
      const path = pathOf(key);
      try {
        if (path !== null) changeRights(path, { socketMode: modeFor(socketMode, flags), socketOwner });
        return [];
      } catch (error) {
        return [`socketMode and socketOwner of unix:${path} stay what they were: ${messageOf(error)}`];
      }
    });
  }

  async #ensure(key: string, target: Target, backlog: number, rights: SocketRights = this.#options): Promise<Listener> {
    // Whoever asks in the same tick has to find it: a second socket of the same address would be nobody's.
    const known = this.#open.get(key) ?? this.#opening.get(key);
    if (known !== undefined) return await known;
    const opening = this.#bind(key, target, backlog, rights);
    this.#opening.set(key, opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(key);
    }
  }

  async #bind(key: string, target: Target, backlog: number, rights: SocketRights): Promise<Listener> {
    const parked = this.#parked.get(key);
    this.#parked.delete(key);
    const inherited = this.#inherited.take(key);
    if (inherited !== null) this.#topUp(target, inherited);
    const queues = parked?.queues ?? inherited ?? (await bindTarget(target, { ...this.#options, ...rightsOf(rights) }));
    const listener = { key, label: labelOf(target, queues), backlog, queues, flags: target.flags };
    this.#open.set(key, listener);
    const path = pathOf(key);
    if (path !== null) this.#inodes.set(key, inherited === null ? inodeOf(path) : this.#inherited.inodeOf(key));
    return listener;
  }

  /** There may be more workers now. Fewer queues there are never: what waits in one would be lost with it. */
  #topUp(target: Target, queues: Handle[]): void {
    const [first] = queues;
    if (first === undefined || queues.length === 1 || !supportsReusePort()) return;
    const port = handleAddress(first)?.port ?? target.port;
    while (queues.length < this.#options.queues) queues.push(bindFurther(target, port));
  }
}

/** Of settings, which are a great deal more. */
function rightsOf({ socketMode, socketOwner }: SocketRights): SocketRights {
  return { socketMode, socketOwner };
}

/** The path of a unix socket that a key names; `null` if it names none. */
function pathOf(key: string): string | null {
  const path = key.startsWith('unix ') ? key.slice('unix '.length) : null;
  return path === null || isAbstract(path) ? null : path;
}

/** The address of a TCP socket that a key names; empty if it names none. */
function hostOf(key: string): string {
  return key.startsWith('tcp ') ? (key.split(' ')[1] ?? '') : '';
}

/** A port 0 is another socket each time it is asked for; anything else is the same for all. */
function keyOf(target: Target, distinct: number | string): string {
  if (target.fd !== null) return `fd ${target.fd}`;
  if (target.addressType === -1) return `unix ${target.host}`;
  // Beside one that serves IPv6 alone there may be another that serves IPv4.
  const only = target.flags & UV_TCP_IPV6ONLY ? ' ipv6Only' : '';
  return `tcp ${target.host ?? '*'} ${target.port}${target.port === 0 ? ` ${distinct}` : ''}${only}`;
}

function isPassed(key: string): boolean {
  return key.startsWith('fd ');
}

/** What an app's own `listen()` names. */
export function targetOf(query: ListenQuery): Target {
  const { address, port, fd, flags } = query;
  if (fd !== null && fd >= 0) return { label: `fd://${fd}`, host: null, port: -1, addressType: -1, fd, flags: 0 };
  if (query.addressType === -1) {
    return { label: `unix:${shown(address ?? '')}`, host: address, port: -1, addressType: -1, fd: null, flags };
  }
  return {
    label: tcpLabel(address, port ?? 0),
    host: address,
    port: port ?? 0,
    addressType: query.addressType === 6 ? 6 : 4,
    fd: null,
    flags,
  };
}

/** The null byte of an abstract socket is written as `@`, as ss(8) does. */
function shown(path: string): string {
  return isAbstract(path) ? `@${path.slice(1)}` : path;
}

function labelOf(target: Target, queues: readonly Handle[]): string {
  const [first] = queues;
  if (target.fd !== null && first !== undefined) {
    const at = handleAddress(first);
    return at === null ? target.label : `${target.label} (${tcpLabel(at.address, at.port)})`;
  }
  if (target.port !== 0 || first === undefined) return target.label;
  return tcpLabel(target.host, handleAddress(first)?.port ?? 0);
}

/** What Node itself says where our message is closer to what happened. */
const nodes: Readonly<Record<'fd' | 'unix' | 'tcp', Readonly<Record<string, string>>>> = {
  fd: { EBADF: 'EINVAL' },
  unix: { ENOENT: 'EACCES', EEXIST: 'EADDRINUSE', ENAMETOOLONG: 'EINVAL' },
  tcp: {},
};

/** libuv's number for a failure to bind, as a worker's `listen()` wants it. */
export function errnoOf(error: unknown, query?: ListenQuery): number {
  const reason = error instanceof BindError ? error.errno : messageOf(error);
  const kind = query === undefined ? 'tcp' : query.fd !== null ? 'fd' : query.addressType === -1 ? 'unix' : 'tcp';
  const name = nodes[kind][reason] ?? reason;
  const known = constants.errno as Readonly<Record<string, number>>;
  return -(known[name] ?? constants.errno.EINVAL);
}
