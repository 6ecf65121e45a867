/**
 * Everything in prefork that leans on parts of Node without a documented contract, and nothing else. Each function
 * says what it relies on; `test/integration/system/node-internals.test.ts` holds them against every supported version.
 */
import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import dgram from 'node:dgram';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import Module from 'node:module';
import net, { type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { UnsupportedNodeError } from '../errors.ts';
import { libuvError } from './errno.ts';

/** A libuv server handle: a TCP socket or a pipe. */
export interface Handle {
  readonly fd: number;
  close(callback?: () => void): void;
  listen(backlog: number): number;
  ref(): void;
  unref(): void;
  /** TCP only. */
  getsockname?(out: Partial<HandleAddress>): number;
  onconnection?: unknown;
}

/** The address a TCP handle is bound to. */
export interface HandleAddress {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

/** What the app asks for in `listen()`, in the words of node:net (the query of `cluster._getServer`). */
export interface ListenQuery {
  /** `null` is the unspecified address. A path if `addressType` is -1. */
  readonly address: string | null;
  readonly port: number | null;
  /** 4, 6, or -1 for a unix socket. */
  readonly addressType: number;
  readonly fd: number | null;
  /** Of TCP {@link UV_TCP_IPV6ONLY}; of a unix socket {@link UV_READABLE} and {@link UV_WRITABLE}. */
  readonly flags: number;
}

/** The flag of `bindHandle` that keeps an IPv6 socket from serving IPv4 as well. */
export const UV_TCP_IPV6ONLY = 1;

/** What `readableAll` and `writableAll` of `listen()` are to libuv. */
export const UV_READABLE = 1;
export const UV_WRITABLE = 2;

/** The flag of `bindHandle` that sets SO_REUSEPORT. Older versions of Node ignore it. */
export const UV_TCP_REUSEPORT = 2;

type CreateServerHandle = (
  address: string | null,
  port: number | null,
  addressType: number | null,
  fd: number | null,
  flags: number,
) => Handle | number;

type GetServer = (server: object, query: RawQuery, callback: (errno: number, handle: Handle | null) => void) => void;

interface RawQuery {
  readonly address: string | null;
  readonly port: number | null;
  readonly addressType: number | string | null;
  readonly fd?: number | null;
  readonly flags?: number;
  readonly backlog?: number;
}

type Listen2 = (
  address: string | null,
  port: number | null,
  addressType: number | null,
  backlog: number | undefined,
  fd: number | undefined,
  flags: number,
) => void;

type OnConnection = (this: Handle, error: unknown, client: unknown) => void;

interface ServerInternals {
  _handle: (Handle & Record<symbol, unknown>) | null;
  _connections: number;
  _listeningId: number;
  _pipeName?: string;
  _listen2?: Listen2;
  _emitCloseIfDrained?: () => void;
}

interface HttpParser {
  readonly incoming: { readonly complete: boolean } | null;
}

interface ConnectionsList {
  idle(): { readonly socket: Duplex }[];
}

const connectionsSymbol = 'http.server.connections';

interface SocketInternals {
  readonly _httpMessage?: ServerResponse | null;
  readonly _handle?: {
    readonly writeQueueSize?: number;
    getpeername?(out: object): number;
    readStart?(): number;
    readStop?(): number;
  } | null;
  readonly _parent?: Duplex | null;
  readonly parser?: HttpParser | null;
}

/**
 * Binds a socket without accepting from it, or wraps an inherited one if `fd` is given.
 *
 * Relies on `net._createServerHandle`. libuv reports that an address is in use only at a later call, so one is made.
 *
 * @returns the handle, or libuv's negative error number
 * @throws UnsupportedNodeError
 */
export function bindHandle(
  address: string | null,
  port: number,
  addressType: number,
  fd: number | null,
  flags: number,
): Handle | number {
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (typeof create !== 'function') throw unsupported('net._createServerHandle is missing');
  if (fd !== null) return create(null, null, null, fd, 0);
  const handle = create(address, port, addressType, null, flags);
  if (typeof handle === 'number' || handle.getsockname === undefined) return handle;
  const bound: Partial<HandleAddress> = {};
  const error = handle.getsockname(bound);
  if (error === 0) return handle;
  handle.close();
  return error;
}

/** The address a handle is bound to; `null` for a unix socket. */
export function handleAddress(handle: Handle): HandleAddress | null {
  const out: Partial<HandleAddress> = {};
  const error = handle.getsockname?.(out);
  return error === 0 ? (out as HandleAddress) : null;
}

/** Whether {@link UV_TCP_REUSEPORT} has an effect: Linux spreads connections over such sockets, Node 22.12 knows it. */
export function supportsReusePort(): boolean {
  if (process.platform !== 'linux') return false;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 12);
}

interface ChannelHandle {
  onread: (buffer?: ArrayBuffer | null) => void;
  pendingHandle?: Handle | null;
  readonly bytesRead: number;
  readStop(): number;
  readonly writeQueueSize: number;
}

interface ChannelInternals {
  _handleQueue: unknown;
  _send?: Send;
}

type Send = (
  this: NodeJS.Process,
  message: unknown,
  handle?: unknown,
  options?: unknown,
  callback?: (error: Error | null) => void,
) => boolean;

/** The event by which a worker is given what Node would keep for itself, and with it what the master sends. */
export const internalEvent = 'internalMessage';

/** Words that begin so are Node's own: it hands them on as {@link internalEvent}, never to the app. */
const internalPrefix = 'NODE_';

/**
 * Stops reading a child's channel for good. To be called in the same tick as the fork, before anything can have been
 * read: reading it is not safe if the child is not trusted (docs/decisions/0020).
 *
 * Relies on the channel's handle under the child's 'kChannelHandle', and on its `readStop`.
 *
 * @throws UnsupportedNodeError
 */
export function muteChannel(child: ChildProcess): void {
  const channel = channelOf(child);
  if (channel === undefined && child.pid === undefined) return;
  if (typeof channel?.readStop !== 'function') throw unsupported("a child's channel is not where it was");
  channel.readStop();
}

/**
 * Writes to a child's channel, beside a handle if one is given, without waiting for Node's acknowledgement: it would
 * have to be read.
 *
 * Relies on `child._handleQueue`, which holds back further messages while an acknowledgement is due, and on the
 * channel's `writeQueueSize`.
 *
 * @param done called once the kernel has the message, or never will have it
 * @returns whether the kernel had it at once
 * @throws UnsupportedNodeError
 */
export function sendUnacknowledged(
  child: ChildProcess,
  message: object,
  handle: Handle | undefined,
  done: () => void,
): boolean {
  const internals = child as unknown as ChannelInternals;
  const wrapped = handle === undefined ? { cmd: `${internalPrefix}PREFORK`, msg: message } : message;
  child.send(wrapped, handle as never, {}, done);
  if (internals._handleQueue === undefined) throw unsupported('a child does not say what it holds back');
  internals._handleQueue = null;
  return (channelOf(child)?.writeQueueSize ?? 0) === 0;
}

/** What {@link sendUnacknowledged} has sent. */
export interface Sent {
  readonly message: unknown;
  readonly handle: Handle | null;
}

/**
 * In a worker: gives each message of the master the handle that was sent with it. Node would give it the handle that was
 * read last, which is another's where several wait to be read; so it sends no second one before the first is
 * acknowledged. A read ends with what a handle was sent with, so the handle belongs to the last message that begins in it.
 *
 * Relies on the channel's handle under the 'kChannelHandle' of `process`, on its `onread` being called with a buffer that
 * begins with what was read, on `bytesRead`, and on `pendingHandle` being the handle that came along.
 *
 * @returns to be called with every {@link internalEvent} and every `message` of `process`, in their order; `null` for
 *   what is not the master's
 * @throws UnsupportedNodeError
 */
export function pairHandles(): (raw: unknown) => Sent | null {
  const channel = channelOf(process);
  if (typeof channel?.onread !== 'function' || typeof channel.bytesRead !== 'number')
    throw unsupported("this process's channel is not where it was");
  const { onread } = channel;
  const handles = new Map<number, Handle>();
  let bytesBefore = channel.bytesRead;
  let begun = 0;
  let isWithin = false;
  channel.onread = function pair(buffer): void {
    const { bytesRead } = channel;
    const read = new Uint8Array(buffer ?? new ArrayBuffer(0), 0, buffer ? bytesRead - bytesBefore : 0);
    for (let at = 0; at < read.length; ) {
      if (!isWithin) begun += 1;
      const end = read.indexOf(0x0a, at);
      isWithin = end < 0;
      at = isWithin ? read.length : end + 1;
    }
    bytesBefore = bytesRead;
    const { pendingHandle = null } = channel;
    if (pendingHandle !== null) handles.set(begun, pendingHandle);
    channel.pendingHandle = null;
    Reflect.apply(onread, channel, [buffer]);
  };
  let told = 0;
  return (raw) => {
    told += 1;
    const handle = handles.get(told) ?? null;
    handles.delete(told);
    const { cmd, msg } = (raw ?? {}) as { cmd?: unknown; msg?: unknown };
    const isSent = cmd === `${internalPrefix}PREFORK` || cmd === `${internalPrefix}HANDLE`;
    return isSent ? { message: msg, handle } : null;
  };
}

function channelOf(child: ChildProcess | NodeJS.Process): ChannelHandle | undefined {
  const key = symbolOf(child, 'kChannelHandle');
  return key === undefined ? undefined : (child as unknown as Record<symbol, ChannelHandle | undefined>)[key];
}

/**
 * Has every message of this process to its parent dropped: nobody reads it. To the caller it looks as if it was sent;
 * what Node refuses to send, Node refuses. A connection that is sent along is closed here, as if it had been given away.
 *
 * Relies on `process._send`, and on node:cluster's own requests for the primary going through it, which get the answers
 * that they wait for.
 *
 * @param onDropped called for each message of the app's own
 * @throws UnsupportedNodeError
 */
export function dropSends(onDropped: () => void): void {
  const internals = process as unknown as ChannelInternals;
  const original = internals._send;
  if (typeof original !== 'function') throw unsupported('process._send is missing');
  internals._send = function send(message, handle, options, callback) {
    if (!isMessage(message) || (isGiven(handle) && !isSendable(handle))) {
      // It throws.
      return Reflect.apply(original, this, [message, handle, options, callback]);
    }
    if (!isInternal(message)) onDropped();
    else answerItself(message);
    if (handle instanceof net.Socket && (options as { keepOpen?: unknown } | undefined)?.keepOpen !== true) {
      handle.destroy();
    }
    if (typeof callback === 'function') process.nextTick(callback, null);
    return true;
  };
}

function isMessage(value: unknown): boolean {
  return ['string', 'object', 'number', 'boolean'].includes(typeof value);
}

function isGiven(handle: unknown): boolean {
  return handle !== undefined && handle !== null && handle !== false && handle !== 0 && handle !== '';
}

function isSendable(handle: unknown): boolean {
  if (handle instanceof net.Socket || handle instanceof net.Server || handle instanceof dgram.Socket) return true;
  // Node's handles below them.
  const { close, getAsyncId } = handle as { close?: unknown; getAsyncId?: unknown };
  return typeof close === 'function' && typeof getAsyncId === 'function';
}

function isInternal(message: unknown): message is { readonly cmd: string } {
  const { cmd } = (message ?? {}) as { cmd?: unknown };
  return typeof cmd === 'string' && cmd.startsWith(internalPrefix) && cmd.length > internalPrefix.length;
}

/** `cluster.worker.disconnect()` goes on once the primary has acknowledged that it is meant. */
function answerItself(message: object): void {
  const { cmd, act, seq } = message as { cmd: string; act?: unknown; seq?: unknown };
  if (act !== 'exitedAfterDisconnect') return;
  process.nextTick(() => process.emit(internalEvent as 'message', { cmd, ack: seq }, undefined));
}

/** Answers one `listen()`: with a handle, or with libuv's negative error number. */
export type ListenAnswer = (answer: Handle | number) => void;

/** What a UDP socket of the app asks for in `bind()`. */
export interface DatagramQuery {
  /** An IP address; `null` if `fd` is given. */
  readonly address: string | null;
  readonly port: number;
  readonly family: 4 | 6;
  readonly fd: number | null;
  readonly flags: number;
}

/** The flag of {@link DatagramQuery} that keeps an IPv6 socket from receiving over IPv4 as well. */
export const UV_UDP_IPV6ONLY = 1;

/** The flag of {@link DatagramQuery} that sets SO_REUSEADDR. */
export const UV_UDP_REUSEADDR = 4;

/** A libuv UDP handle. */
export interface DatagramHandle extends Handle {
  bind(address: string, port: number, flags: number): number;
  hasRef(): boolean;
}

/** What a server is told at once, while its `listen()` still waits for the answer. */
export interface Expectation {
  /** What `server.address()` gives; `null` if it is not known yet. */
  readonly address: HandleAddress | null;
  /** The server was closed before there was an answer; none is expected any more. */
  readonly onClose: () => void;
}

/** Who answers the sockets of a worker. */
export interface SocketService {
  /** @returns what is told of the server until there is an answer; `null` if nothing is */
  serve(server: Server, query: ListenQuery, answer: ListenAnswer): Expectation | null;
  bind(query: DatagramQuery, answer: ListenAnswer): void;
}

/**
 * Has every `listen()` of this worker that wants a socket, and every `bind()` of a UDP socket that it would share, ask
 * `service` instead of node:cluster's primary.
 *
 * Under plain node a server listens when `listen()` returns. Here the answer takes a moment, in which the server has a
 * stand-in for its handle, if `serve` gives an expectation: `listening`, `address()`, `close()` and a second `listen()`
 * are what they are under plain node.
 *
 * Relies on `cluster._getServer`, on `server._listen2`, which is what Node calls under plain node and which gives errors
 * their words, on it taking a handle that is there already, and on `server._listeningId` changing when a server is closed
 * meanwhile.
 */
export function takeOverListen(service: SocketService): void {
  const internals = cluster as unknown as { _getServer?: GetServer };
  if (typeof internals._getServer !== 'function') throw unsupported('cluster._getServer is missing');
  if (typeof internalsOf(net.Server.prototype)._listen2 !== 'function') throw unsupported('server._listen2 is missing');
  internals._getServer = (server, raw, callback) => {
    if (!(server instanceof net.Server)) {
      service.bind(toDatagramQuery(raw), (answer) => {
        if (typeof answer === 'number') return callback(answer, null);
        if (datagramHandle(server)?.hasRef() === false) answer.unref();
        callback(0, answer);
      });
      return;
    }
    const own = internalsOf(server);
    const listeningId = own._listeningId;
    let isAnswered = false;
    const expectation = service.serve(server, toQuery(raw), (answer) => {
      isAnswered = true;
      if (own._listeningId !== listeningId) {
        if (typeof answer !== 'number') answer.close();
        return;
      }
      own._handle = (typeof answer === 'number' ? failing(answer) : answer) as ServerInternals['_handle'];
      const { address, addressType } = placeOf(raw, answer);
      const { port, backlog, fd = null, flags = 0 } = raw;
      own._listen2?.(address, port, addressType, backlog, fd ?? undefined, flags);
    });
    if (isAnswered || expectation === null) return;
    own._handle = handleToBe(expectation) as Handle as ServerInternals['_handle'];
  };
}

/** What Node says of an address in errors: where none was given, the one that it has tried. */
function placeOf(
  { address, addressType, fd = null }: RawQuery,
  answer: Handle | number,
): { address: string | null; addressType: number | null } {
  if (fd !== null) return { address: null, addressType: null };
  const type = typeof addressType === 'number' ? addressType : 4;
  if (address !== null || type === -1) return { address, addressType: type };
  if (typeof answer !== 'number') {
    const bound = handleAddress(answer);
    return { address: bound?.address ?? null, addressType: bound?.family === 'IPv4' ? 4 : 6 };
  }
  // In use is what only listen(2) says, and IPv6 comes first; other errors come of the last bind, which is IPv4's.
  const isLate = answer === libuvError('EADDRINUSE') && hasIPv6();
  return isLate ? { address: '::', addressType: 6 } : { address: '0.0.0.0', addressType: 4 };
}

/** Whether Node binds to `::` where no host is given. */
export function hasIPv6(): boolean {
  const handle = bindHandle('::', 0, 6, null, 0);
  if (typeof handle === 'number') return false;
  handle.close();
  return true;
}

/** A handle with which Node's own `listen()` fails. */
function failing(errno: number): Handle {
  return { fd: -1, close: () => {}, listen: () => errno, ref: () => {}, unref: () => {} };
}

/** A handle that neither has nor does anything. */
function handleToBe({ address, onClose }: Expectation): Handle & { fchmod(mode: number): number } {
  return {
    fd: -1,
    close: onClose,
    listen: () => 0,
    ref: () => {},
    unref: () => {},
    // Which rights are wanted has been asked for already.
    fchmod: () => 0,
    ...(address === null
      ? {}
      : {
          getsockname: (out: Partial<HandleAddress>) => {
            Object.assign(out, { address: address.address, family: address.family, port: address.port });
            return 0;
          },
        }),
  };
}

/** Keeps `close` events of servers back. See {@link takeOverClose}. */
export interface CloseEvents {
  /** From here on the server emits no `close`. */
  hold(server: Server): void;
  /** Once for each {@link hold}: what would have been emitted meanwhile is emitted. */
  release(server: Server): void;
}

/**
 * Makes it possible to keep the `close` event of a server back until its address is free.
 *
 * Relies on Node calling `server._emitCloseIfDrained` when the event may be due, and on it looking at `server._handle`
 * and `server._connections`.
 */
export function takeOverClose(): CloseEvents {
  const prototype = internalsOf(net.Server.prototype);
  const original = prototype._emitCloseIfDrained;
  if (typeof original !== 'function') throw unsupported('server._emitCloseIfDrained is missing');
  const held = new WeakMap<object, { count: number; isDue: boolean }>();
  let holds = 0;
  function emitUnlessHeld(this: ServerInternals): void {
    // Called at the end of each connection: most often nothing is held.
    const state = holds === 0 ? undefined : held.get(this);
    if (state === undefined) (original as () => void).call(this);
    else if (this._handle === null && this._connections === 0) state.isDue = true;
  }
  Object.defineProperty(prototype, '_emitCloseIfDrained', {
    value: emitUnlessHeld,
    writable: true,
    configurable: true,
    enumerable: true,
  });
  return {
    hold: (server) => {
      holds += 1;
      const state = held.get(server);
      if (state === undefined) held.set(server, { count: 1, isDue: false });
      else state.count += 1;
    },
    release: (server) => {
      const state = held.get(server);
      if (state === undefined) return;
      holds -= 1;
      state.count -= 1;
      if (state.count > 0) return;
      held.delete(server);
      if (!state.isDue) return;
      // It may listen again by now: the event was due before.
      const own = internalsOf(server);
      const { _handle, _connections } = own;
      Object.assign(own, { _handle: null, _connections: 0 });
      Reflect.apply(original, server, []);
      Object.assign(own, { _handle, _connections });
    },
  };
}

function toDatagramQuery({ address, port, addressType, fd = null, flags }: RawQuery): DatagramQuery {
  return {
    address,
    // node:dgram passes on what bind() was called with, a callback too; Node's own code takes it for a 16 bit number.
    port: Number(port) & 0xffff,
    family: addressType === 'udp6' ? 6 : 4,
    fd: fd === null || fd < 0 ? null : fd,
    flags: flags ?? 0,
  };
}

/** Relies on the handle being in what the socket has under its 'state symbol'. */
function datagramHandle(socket: object): DatagramHandle | undefined {
  const key = symbolOf(socket, 'state symbol');
  if (key === undefined) return undefined;
  return (socket as Record<symbol, { handle?: DatagramHandle | null } | undefined>)[key]?.handle ?? undefined;
}

/**
 * Binds a UDP socket without reading from it.
 *
 * Relies on the handle of a socket of node:dgram, and on its `bind`, which is synchronous.
 *
 * @param address an IP address of that family
 * @returns the handle, or libuv's negative error number
 * @throws UnsupportedNodeError
 */
export function bindDatagramHandle(address: string, port: number, family: 4 | 6, flags: number): Handle | number {
  const handle = datagramHandle(dgram.createSocket(family === 6 ? 'udp6' : 'udp4'));
  if (typeof handle?.bind !== 'function') throw unsupported('a UDP socket does not have its handle where it was');
  const error = handle.bind(address, port, flags);
  if (error === 0) return handle;
  handle.close();
  return error;
}

/** Calls back when a granted handle is closed, by whomever. Relies on node:dgram closing by `handle.close`. */
export function onHandleClosed(handle: Handle, onClose: () => void): void {
  const { close } = handle;
  handle.close = (callback) => {
    onClose();
    Reflect.apply(close, handle, callback === undefined ? [] : [callback]);
  };
}

function toQuery({ address, port, addressType, fd = null, flags = 0 }: RawQuery): ListenQuery {
  // Node says nothing of the kind of an inherited descriptor.
  if (fd !== null) return { address: null, port: null, addressType: -1, fd, flags };
  return { address, port, addressType: addressType === 6 || addressType === -1 ? addressType : 4, fd, flags };
}

/**
 * Prepares the handle that becomes a server's own.
 *
 * Relies on `handle.listen` being how Node sets the backlog, and on `handle.close` being how it stops to accept.
 */
export function prepareHandle(
  handle: Handle,
  options: {
    /** `null` leaves the one that the app has asked for. */
    readonly backlog: number | null;
    readonly onClose: () => void;
  },
): void {
  const { backlog, onClose } = options;
  const { listen, close } = handle;
  if (backlog !== null) handle.listen = () => Reflect.apply(listen, handle, [backlog]);
  handle.close = (callback) => {
    onClose();
    Reflect.apply(close, handle, callback === undefined ? [] : [callback]);
  };
}

/**
 * Has a handle that Node makes listen not do so: neither does the kernel tell this process of its connections, nor does the
 * process live for it. {@link setBacklog} makes it listen.
 *
 * Relies on `handle.listen` being all that begins to accept.
 */
export function holdListening(handle: Handle): void {
  handle.listen = () => 0;
}

/**
 * Has a UDP handle that Node makes receive not do so.
 *
 * Relies on `handle.recvStart` being all that begins to receive.
 *
 * @returns lets it receive, unless it was closed
 */
export function holdReceiving(handle: Handle): () => void {
  const datagrams = handle as Handle & { recvStart?(): number };
  const { recvStart } = datagrams;
  if (typeof recvStart !== 'function') throw unsupported('a UDP handle has no recvStart');
  let isWanted = false;
  datagrams.recvStart = () => {
    isWanted = true;
    return 0;
  };
  return () => {
    datagrams.recvStart = recvStart;
    // A handle that is closed answers with an error.
    if (isWanted) Reflect.apply(recvStart, handle, []);
  };
}

/** The descriptor of a listening server, `null` if it does not listen. Relies on `server._handle.fd`. */
export function descriptorOf(server: Server): number | null {
  const fd = internalsOf(server)._handle?.fd;
  return fd === undefined || fd < 0 ? null : fd;
}

/** The handle of a listening server, to be sent to another process; `null` if it does not listen. Relies on `server._handle`. */
export function handleOf(server: Server): Handle | null {
  return internalsOf(server)._handle;
}

/**
 * The descriptor of a connected socket.
 *
 * Relies on `socket._handle.fd`.
 *
 * @throws UnsupportedNodeError
 */
export function descriptorOfSocket(socket: net.Socket): number {
  const fd = (socket as unknown as MovableSocket)._handle?.fd;
  if (fd === undefined || fd < 0) throw unsupported('a connected socket has no descriptor');
  return fd;
}

/** Sets the backlog of a handle that listens, whoever else accepts from it, without what {@link prepareHandle} put before it. */
export function setBacklog(handle: Handle, backlog: number): number {
  return Object.getPrototypeOf(handle).listen.call(handle, backlog);
}

/**
 * Whether the kernel has completed the connection of a socket that is still connecting, as far as Node knows.
 *
 * Relies on `socket._handle.getpeername` asking the kernel.
 */
export function isEstablished(socket: Duplex): boolean {
  return internalsOfSocket(socket)._handle?.getpeername?.({}) === 0;
}

/**
 * Writes to a socket beside the HTTP/2 session that has it, between two of its frames. The caller knows that the kernel has
 * room for it: Node aborts the process if such a write has to wait.
 *
 * Relies on `socket._handle.writeQueueSize`, and on a session writing whole frames.
 *
 * @returns whether it was possible
 */
export function writeAtOnce(socket: Duplex, bytes: Buffer): boolean {
  if (!(socket instanceof net.Socket) || 'encrypted' in socket || !socket.writable) return false;
  if (socket.writableLength > 0 || internalsOfSocket(socket)._handle?.writeQueueSize !== 0) return false;
  socket.write(bytes);
  return true;
}

/** Whether what arrives at a socket is read, whoever reads it. Relies on `socket._handle.readStop()` and `readStart()`. */
export function setReading(socket: Duplex, isOn: boolean): void {
  const handle = internalsOfSocket(socket)._handle;
  if (isOn) handle?.readStart?.();
  else handle?.readStop?.();
}

/** Closes a handle without what {@link prepareHandle} put before it. */
export function closeHandle(handle: Handle): void {
  Object.getPrototypeOf(handle).close.call(handle);
}

/**
 * Lets a listening server accept from a further handle, as if it were its own: options, limits and counts apply.
 *
 * Relies on `handle.onconnection` finding its server under the 'owner_symbol' of the handle.
 *
 * @returns libuv's error number, 0 if all is well
 */
export function joinHandle(server: Server, handle: Handle, backlog: number): number {
  const own = internalsOf(server)._handle;
  const owner = own === null ? undefined : ownerSymbol(own);
  if (own === null || owner === undefined) throw unsupported('a listening handle does not know its server');
  const further = handle as Handle & Record<symbol, unknown>;
  further[owner] = server;
  further.onconnection = own.onconnection;
  // The server's own handle decides whether the process lives.
  further.unref();
  return further.listen(backlog);
}

/** Makes a joined handle the server's own. */
export function promoteHandle(server: Server, handle: Handle): void {
  const internals = internalsOf(server);
  internals._handle = handle as Handle & Record<symbol, unknown>;
  if (isReferenced(server)) handle.ref();
}

/** What a server says of the number of its connections. */
export interface ConnectionLimit {
  readonly connections: number;
  /** `server.maxConnections`; `null` if there is none. */
  readonly most: number | null;
  /** `server.dropMaxConnection`. */
  readonly drops: boolean;
}

/** Relies on `server._connections`; `server.getConnections()` takes a turn of the event loop. */
export function connectionLimit(server: Server): ConnectionLimit {
  const { maxConnections, dropMaxConnection } = server as Server & { readonly dropMaxConnection?: unknown };
  return {
    connections: internalsOf(server)._connections,
    most: typeof maxConnections === 'number' ? maxConnections : null,
    drops: dropMaxConnection === true,
  };
}

/**
 * Takes the limit from a server for as long as it is told of one connection.
 *
 * @returns gives it back, unless the app has set another meanwhile
 */
export function liftConnectionLimit(server: Server): () => void {
  const { maxConnections } = server;
  server.maxConnections = Number.POSITIVE_INFINITY;
  return () => {
    if (server.maxConnections === Number.POSITIVE_INFINITY) server.maxConnections = maxConnections;
  };
}

/**
 * Calls before and after a listening server is told of a connection; handles that are joined later included.
 *
 * Relies on `handle.onconnection` being called for each of them with the handle as `this`.
 *
 * @param calls `before` returns what is to be called first of all after it
 */
export function aroundConnections(
  server: Server,
  { before, after }: { readonly before: () => (() => void) | null; readonly after: () => void },
): void {
  const own = internalsOf(server)._handle;
  const onconnection = own?.onconnection as OnConnection | undefined;
  if (own === null || typeof onconnection !== 'function') throw unsupported('a listening handle has no onconnection');
  own.onconnection = function connected(this: Handle, error: unknown, client: unknown): void {
    const undo = before();
    try {
      onconnection.call(this, error, client);
    } finally {
      undo?.();
      after();
    }
  };
}

/**
 * Has a handle that was sent from another process accept nothing until it is told to listen again ({@link setBacklog}).
 * Connections wait in the kernel's queue meanwhile, or are accepted by other processes.
 *
 * Relies on libuv taking a socket that was sent for one that can be read (`uv__stream_open` in `uv_accept`), and on the
 * end of reading being the end of polling. Of other handles nothing becomes of it.
 *
 * @returns whether it does
 */
export function pauseAccepting(handle: Handle): boolean {
  const { readStart, readStop } = handle as Handle & { readStart?(): number; readStop?(): number };
  if (readStart === undefined || readStop === undefined || Reflect.apply(readStart, handle, []) !== 0) return false;
  return Reflect.apply(readStop, handle, []) === 0;
}

/** Whether the process lives for a server. Relies on `server._unref`. */
export function isReferenced(server: Server): boolean {
  return (server as unknown as { _unref?: boolean })._unref !== true;
}

function ownerSymbol(handle: object): symbol | undefined {
  return symbolOf(handle, 'owner_symbol');
}

function symbolOf(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}

/** Gives `server.address()` something to say for a unix socket. Relies on `server._pipeName`. */
export function setPipeName(server: Server, path: string): void {
  internalsOf(server)._pipeName = path;
}

/**
 * Keeps node:cluster from ending this worker the moment its master is gone.
 *
 * Relies on it looking at `exitedAfterDisconnect` first.
 */
export function surviveDisconnect(): void {
  if (cluster.worker !== undefined && cluster.worker !== null) cluster.worker.exitedAfterDisconnect = true;
}

/** A multicast group that is never used (RFC 1112): a TCP socket can be bound to it, and nobody can connect to it. */
export const nowhere = '224.0.0.0';

/**
 * Options for a process that a signal may have to interrupt: the inspector that SIGUSR1 opens listens where no process
 * can connect to it, whoever has sent the signal.
 *
 * Relies on Linux, which binds TCP sockets to multicast addresses and connects none to them, and needs no route for it.
 */
export const interruptible: readonly string[] = [`--inspect-port=${nowhere}:0`, '--inspect-publish-uid=http'];

/** Options for a process that no SIGUSR1 may open an inspector in: it ignores the signal, where Node can. */
export function uninterruptible(): readonly string[] {
  return process.allowedNodeEnvironmentFlags.has(deaf) ? [deaf, ...interruptible] : interruptible;
}

/** Node's option by which SIGUSR1 opens no inspector. Older versions have none. */
const deaf = '--disable-sigusr1';

/** Whether a worker was given an option as a precaution, see {@link interruptible} and {@link uninterruptible}. */
export function isPrecaution(option: string): boolean {
  return option === deaf || interruptible.includes(option);
}

/** The event of `process` of which {@link isInspectorNotice} speaks. */
export const inspectorNotice = 'internalMessage';

/**
 * Whether an {@link inspectorNotice} says that an inspector has opened.
 *
 * Relies on Node emitting it in the very moment, which for one that SIGUSR1 opens is on top of the JavaScript that runs,
 * even if that never ends (`NotifyClusterWorkersDebugEnabled` of Node's inspector_agent.cc): what listens to it can see
 * the stack of an endless loop.
 */
export function isInspectorNotice(raw: unknown): boolean {
  return typeof raw === 'object' && raw !== null && (raw as { cmd?: unknown }).cmd === 'NODE_DEBUG_ENABLED';
}

/** The HTTP/1 response that is being written to a socket. Relies on `socket._httpMessage`. */
export function currentResponse(socket: Duplex): ServerResponse | null {
  return internalsOfSocket(socket)._httpMessage ?? null;
}

/**
 * What a socket speaks: `http1` while an HTTP parser reads it. Relies on `socket.parser`, which Node takes away when
 * the connection is upgraded.
 */
export function hasHttpParser(socket: Duplex): boolean {
  const { parser } = internalsOfSocket(socket);
  return parser !== undefined && parser !== null;
}

/** Whether a request's body is still arriving. Relies on `socket.parser.incoming`. */
export function isReceiving(socket: Duplex): boolean {
  const incoming = internalsOfSocket(socket).parser?.incoming;
  return incoming !== undefined && incoming !== null && !incoming.complete;
}

/**
 * The sockets of an HTTP server that are between two requests: not one byte of a next one has been read. `null` if Node
 * does not say.
 *
 * Relies on the list of connections that `closeIdleConnections()` goes by.
 */
export function idleSockets(server: Server): ReadonlySet<Duplex> | null {
  const key = Object.getOwnPropertySymbols(server).find((symbol) => symbol.description === connectionsSymbol);
  const list = key === undefined ? undefined : (server as unknown as Record<symbol, ConnectionsList>)[key];
  return list === undefined ? null : new Set(list.idle().map(({ socket }) => socket));
}

/**
 * Calls back with the exports of each CommonJS file whose path matches, before the importing file has them; ES modules get
 * their CommonJS the same way. Costs nothing but at the loading of files.
 *
 * Relies on `Module.prototype.load`. If it is missing, there is no call.
 */
export function onModuleLoaded(path: RegExp, callback: (exports: unknown) => void): void {
  const prototype = Module.prototype as unknown as { load?: (this: { exports: unknown }, filename: string) => unknown };
  const original = prototype.load;
  if (typeof original !== 'function') return;
  prototype.load = function load(filename) {
    const result = original.call(this, filename);
    if (path.test(filename)) callback(this.exports);
    return result;
  };
}

/** The head of a response as it was sent. Relies on `response._header`. */
export function sentHead(response: ServerResponse): string {
  return (response as unknown as { _header?: string | null })._header ?? '';
}

/**
 * Takes a request whose body is still arriving from the app: to the app it is as if the client had left, and what is still
 * to come is read and thrown away, so that the client gets its answer. The connection stays.
 *
 * Relies on Node leaving out what arrives for a request that is `_dumped`, on `request.destroy()` destroying `request.socket`
 * unless that is destroyed already, and on `socket._handle.readStart()`.
 */
export function abandonRequest(request: IncomingMessage): void {
  const { socket } = request;
  const internals = request as { _dumped?: boolean; socket: net.Socket };
  internals._dumped = true;
  internals.socket = Object.create(socket, { destroyed: { value: true } }) as net.Socket;
  try {
    // As Node says it of a client that has left.
    request.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
  } finally {
    internals.socket = socket;
    setReading(socket, true);
  }
}

/**
 * Whether AsyncLocalStorage costs something with every promise, as it does before Node 24, where it stands on hooks. Relies on
 * it having `_enable` there.
 */
export function followsByHooks(storage: object): boolean {
  return '_enable' in storage;
}

type StoreHeader = (this: ServerResponse, firstLine: string, headers: unknown) => void;

/**
 * Has something added to the head of each HTTP/1 response, behind its first line. `setHeader()` would do, but a response that has a
 * header by the time the app calls `writeHead()` goes a way that takes as long as the rest of it. Relies on `response._storeHeader`.
 *
 * @param linesFor is asked once for each head, and gives whole lines; `headers` is what the app has set: an object, a list
 * of names and values, a list of such pairs, what `setHeader()` makes, or `undefined`
 * @throws UnsupportedNodeError if this version of Node has no such method
 */
export function addToHeads(linesFor: (response: ServerResponse, headers: unknown) => string): void {
  const { prototype } = process.getBuiltinModule('node:http').ServerResponse;
  const original = Reflect.get(prototype, '_storeHeader') as StoreHeader | undefined;
  if (typeof original !== 'function') throw unsupported('response._storeHeader is missing');
  const adding: StoreHeader = function (firstLine, headers) {
    original.call(this, firstLine + linesFor(this, headers), headers);
  };
  Object.defineProperty(adding, 'name', { value: '_storeHeader' });
  Object.defineProperty(prototype, '_storeHeader', { value: adding, writable: true, configurable: true });
}

/** The connection under a TLS socket. Relies on `socket._parent`. */
export function rawSocketOf(socket: Duplex): Duplex {
  return internalsOfSocket(socket)._parent ?? socket;
}

/**
 * Calls back for each socket of this process that is destroyed, whoever does it, when its descriptor is about to be
 * closed. A listener of 'close' would be visible to the app, and gone with `removeAllListeners()`.
 *
 * Relies on `net.Socket` having `_destroy`, which TLS sockets inherit.
 *
 * @throws UnsupportedNodeError
 */
export function onSocketDestroyed(callback: (socket: object) => void): void {
  onDestroyed(net.Socket.prototype, callback);
}

/**
 * The same of the HTTP/2 streams that are of the class of the given one.
 *
 * Relies on a prototype of theirs having `_destroy`.
 *
 * @throws UnsupportedNodeError
 */
export function onStreamDestroyed(stream: object, callback: (stream: object) => void): void {
  let prototype: unknown = Object.getPrototypeOf(stream);
  while (prototype instanceof Object && !Object.hasOwn(prototype, '_destroy')) {
    prototype = Object.getPrototypeOf(prototype);
  }
  onDestroyed(prototype, callback);
}

type WriteGeneric = (this: net.Socket, isMany: boolean, data: unknown, encoding: unknown, done: unknown) => unknown;

/**
 * Calls back with what is written to sockets of this process, in order, when it leaves the stream's own buffer.
 *
 * Relies on `net.Socket` having `_writeGeneric`, through which single chunks and lists of them go.
 *
 * @param isWanted whether a socket is of interest
 * @throws UnsupportedNodeError
 */
export function onSocketWrite(
  isWanted: (socket: object) => boolean,
  callback: (socket: object, bytes: Uint8Array) => void,
): void {
  const prototype = net.Socket.prototype as unknown as { _writeGeneric?: WriteGeneric };
  const original = prototype._writeGeneric;
  if (typeof original !== 'function') throw unsupported('net.Socket has no _writeGeneric');
  const write: WriteGeneric = function (isMany, data, encoding, done) {
    if (isWanted(this) && !this.connecting) {
      const chunks = isMany ? (data as { chunk: unknown; encoding: unknown }[]) : [{ chunk: data, encoding }];
      for (const each of chunks) callback(this, bytesOf(each.chunk, each.encoding));
    }
    return Reflect.apply(original, this, [isMany, data, encoding, done]);
  };
  Object.defineProperty(prototype, '_writeGeneric', {
    value: write,
    writable: true,
    configurable: true,
    enumerable: true,
  });
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : (chunk as Uint8Array);
}

type Destroy = (this: object, error: unknown, callback: unknown) => unknown;

function onDestroyed(prototype: unknown, callback: (stream: object) => void): void {
  const own = Object.getOwnPropertyDescriptor(prototype ?? {}, '_destroy');
  const original = own?.value as Destroy | undefined;
  if (typeof original !== 'function') throw unsupported('a stream cannot be seen to end: _destroy is missing');
  const destroy: Destroy = function (error, done) {
    const result = original.call(this, error, done);
    callback(this);
    return result;
  };
  Object.defineProperty(destroy, 'name', { value: original.name });
  Object.defineProperty(prototype, '_destroy', { ...own, value: destroy });
}

/** The end of a queue between processes into which connections are put. */
export interface ConnectionsOut {
  /**
   * @param message goes with the connection; one line
   * @param done called with `false` if the connection is still this process's
   * @returns whether the kernel had it at once
   */
  put(message: string, connection: StreamHandle, done: (isGone: boolean) => void): boolean;
  close(): void;
}

/** The other end of it. */
export interface ConnectionsIn {
  start(): void;
  stop(): void;
}

/** The handle of an accepted connection: a TCP socket or a pipe. */
export interface StreamHandle {
  readonly fd: number;
  close(callback?: () => void): void;
}

interface PipeHandle extends StreamHandle {
  onread: (buffer?: ArrayBuffer) => void;
  pendingHandle?: StreamHandle | null;
  open(fd: number): number;
  readStart(): number;
  readStop(): number;
  unref(): void;
  readonly writeQueueSize: number;
  writeUtf8String(request: WriteRequest | null, text: string, handle?: StreamHandle): number | WriteRequest;
}

/** PipeConstants.IPC: a pipe that takes handles along. */
const takesHandles = 2;

let Pipe: (new (type: number) => PipeHandle) | null = null;

/** Remembers the class of pipes that take handles along: it is the class of this process's channel, as long as there is one. */
export function learnPipes(): void {
  const channel = channelOf(process);
  if (channel !== undefined) Pipe = channel.constructor as new (type: number) => PipeHandle;
}

function newPipe(): PipeHandle {
  if (Pipe === null) learnPipes();
  if (Pipe === null) throw unsupported("this process's channel is not where it was");
  return new Pipe(takesHandles);
}

function openPipe(fd: number): PipeHandle {
  const pipe = newPipe();
  const error = pipe.open(fd);
  if (error !== 0) throw unsupported(`a pipe cannot be opened (${error})`);
  pipe.unref();
  return pipe;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Node 26: how it ended, if it has already. */
  readonly writeStatus?: number | null;
}

/**
 * The class of Node's requests to write, which only Node's own modules can name; `null` where Node makes the request
 * itself, if there is to be one (26).
 */
function writeRequestClass(pipe: PipeHandle): (new () => WriteRequest) | null {
  let found: unknown;
  pipe.writeUtf8String = (request) => {
    found = request === null ? null : request.constructor;
    return libuvError('EPIPE');
  };
  const options = { handle: pipe, readable: false, manualStart: true };
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
  socket.on('error', () => {});
  socket.write('x', 'utf8');
  socket.destroy();
  if (found !== null && typeof found !== 'function') throw unsupported('what is written to a pipe cannot be seen');
  return found as (new () => WriteRequest) | null;
}

/**
 * Opens the end of a socket pair into which connections are put.
 *
 * Relies on the handle of this process's channel being made by the class of pipes, on their `writeUtf8String` taking a
 * handle that is to be sent, on the class of its requests being the one with which a `net.Socket` writes, and on
 * `writeQueueSize`.
 *
 * @throws UnsupportedNodeError
 */
export function openConnectionsOut(fd: number): ConnectionsOut {
  const Request = writeRequestClass(newPipe());
  const pipe = openPipe(fd);
  const write = (text: string, connection: StreamHandle, done: (isGone: boolean) => void): void => {
    const own = Request === null ? null : new Request();
    const answer = pipe.writeUtf8String(own, text, connection);
    const request = typeof answer === 'number' ? own : answer;
    if (typeof answer === 'number' && (answer !== 0 || request === null)) done(answer === 0);
    else if (typeof request?.writeStatus === 'number') done(request.writeStatus >= 0);
    else if (request !== null) request.oncomplete = (status) => done(status >= 0);
  };
  return {
    put: (message, connection, done) => {
      // What somebody has left there without an end is no part of it.
      write(`\n${message}\n`, connection, done);
      return pipe.writeQueueSize === 0;
    },
    close: () => pipe.close(),
  };
}

/**
 * Opens the end of a socket pair from which connections are taken.
 *
 * Relies on the class of pipes as {@link openConnectionsOut} does, and on `pendingHandle` being the handle that came along
 * with what `onread` is given. A read ends with what a handle was sent with (unix(7)), so each brings one message.
 *
 * @param onConnection is given `null` if the kernel had no descriptor left for the connection
 * @throws UnsupportedNodeError
 */
export function openConnectionsIn(
  fd: number,
  onConnection: (message: string, connection: StreamHandle | null) => void,
): ConnectionsIn {
  const pipe = openPipe(fd);
  pipe.onread = (buffer) => {
    const { pendingHandle = null } = pipe;
    pipe.pendingHandle = null;
    if (buffer !== undefined) onConnection(Buffer.from(buffer).toString(), pendingHandle);
    else pendingHandle?.close();
  };
  return { start: () => void pipe.readStart(), stop: () => void pipe.readStop() };
}

interface MovableSocket extends SocketInternals {
  _handle: (StreamHandle & { readStart?(): number; readStop?(): number; readonly writeQueueSize?: number }) | null;
  readonly parser?: (HttpParser & { _consumed?: boolean; consume?(handle: object): void; unconsume?(): void }) | null;
  readonly _paused?: boolean;
  readonly server?: unknown;
}

/** What Node itself puts on a socket that an HTTP server was told of. */
interface PlainSocket {
  readonly listeners: ReadonlyMap<string | symbol, number>;
  readonly keys: ReadonlySet<string | symbol>;
}

let plain: PlainSocket | null = null;

/** What comes to a socket with its use: of all the rest a new one tells. */
const keysOfUse = ['_httpMessage', 'timeout', '_peername', '_sockname'];

function plainSocket(): PlainSocket | null {
  if (plain !== null) return plain;
  const http = process.getBuiltinModule?.('node:http');
  if (http === undefined) return null;
  const server = http.createServer();
  const socket = new net.Socket();
  // Not emit(), which is watched.
  for (const told of server.listeners('connection')) Reflect.apply(told, server, [socket]);
  const listeners = new Map(socket.eventNames().map((name) => [name, socket.listenerCount(name)]));
  const keys = new Set<string | symbol>([...Reflect.ownKeys(socket), ...keysOfUse]);
  socket.destroy();
  plain = { listeners, keys };
  return plain;
}

/**
 * Whether anybody but Node's own HTTP server has put something on a socket: event listeners, properties, a time limit.
 *
 * Learns what is Node's own from a socket that only Node's server is told of.
 *
 * @param isBusy what may be gone when the response is done does not count: event listeners and the time limit
 */
export function hasOwnState(server: HttpServer, socket: net.Socket, isBusy = false): boolean {
  const own = plainSocket();
  if (own === null || (socket as unknown as MovableSocket).server !== server) return true;
  // Kept by the server per connection, and lost with it.
  if ((server.maxRequestsPerSocket ?? 0) > 0) return true;
  if (Reflect.ownKeys(socket).some((key) => !own.keys.has(key))) return true;
  if (isBusy) return false;
  // A response that is under way listens for the end of its connection.
  const ofResponse = currentResponse(socket) === null ? 0 : 1;
  const isOwn = (name: string | symbol): boolean =>
    socket.listenerCount(name) > (own.listeners.get(name) ?? 0) + (name === 'close' ? ofResponse : 0);
  if (socket.eventNames().some(isOwn)) return true;
  // After a response Node sets its own limit.
  const isSetByNode = socket.bytesWritten > 0 && server.keepAliveTimeout > 0;
  return !isSetByNode && (socket.timeout ?? 0) !== server.timeout;
}

/** Whether everything is written, and nothing ends or is held back. Relies on `socket._handle.writeQueueSize` and `_paused`. */
export function isQuiet(socket: net.Socket): boolean {
  const { _handle, _paused } = socket as unknown as MovableSocket;
  if (_handle === null || socket.destroyed || socket.readableEnded || socket.writableEnded || _paused === true)
    return false;
  return socket.writableLength === 0 && socket.readableLength === 0 && (_handle.writeQueueSize ?? 0) === 0;
}

/**
 * Milliseconds until a socket times out, `null` if it never does.
 *
 * Relies on the timer under the 'timeout' symbol of the socket, and on its `_idleStart` and `_idleTimeout`.
 */
export function timeLeft(socket: net.Socket): number | null {
  const key = symbolOf(socket, 'timeout');
  const timer = key === undefined ? null : (socket as unknown as Record<symbol, TimerInternals | null>)[key];
  if (timer?._idleStart === undefined || timer._idleTimeout === undefined) return null;
  const now = setTimeout(() => {}, 1);
  clearTimeout(now);
  const { _idleStart } = now as unknown as TimerInternals;
  return _idleStart === undefined ? null : timer._idleStart + timer._idleTimeout - _idleStart;
}

interface TimerInternals {
  readonly _idleStart?: number;
  readonly _idleTimeout?: number;
}

/**
 * Stops reading a socket that an HTTP parser reads: what arrives from here on stays in the kernel. To be called right after
 * the poll phase, when nothing that was read is on its way.
 *
 * Relies on `socket._handle.readStop()` and on `socket.parser.unconsume()`.
 *
 * @returns the handle of the connection, `null` if it has none
 */
export function holdConnection(socket: net.Socket): StreamHandle | null {
  const { _handle, parser } = socket as unknown as MovableSocket;
  if (_handle?.readStop === undefined || parser?.unconsume === undefined) return null;
  if (_handle.readStop() !== 0) return null;
  if (parser._consumed === true) {
    parser.unconsume();
    parser._consumed = false;
  }
  return _handle;
}

/** Goes on reading after {@link holdConnection}. Relies on the socket itself feeding the parser where that does not read. */
export function resumeConnection(socket: net.Socket): void {
  (socket as unknown as MovableSocket)._handle?.readStart?.();
}

/**
 * Takes the connection from its socket, which is closed as if its client had left. The connection itself lives on where it
 * was sent.
 *
 * Relies on a `net.Socket` without `_handle` being destroyed like any other.
 */
export function letGo(socket: net.Socket): void {
  const internals = socket as unknown as MovableSocket;
  const { _handle } = internals;
  internals._handle = null;
  _handle?.close();
  socket.destroy();
}

/**
 * Tells a listening server of a connection that another process has accepted, as if it were its own: options, limits and
 * counts apply.
 *
 * Relies on `server._handle.onconnection`, which is what libuv calls.
 *
 * @throws UnsupportedNodeError
 */
export function giveConnection(server: Server, connection: StreamHandle): void {
  const own = internalsOf(server)._handle;
  if (typeof own?.onconnection !== 'function') throw unsupported('a listening handle has no onconnection');
  Reflect.apply(own.onconnection, own, [0, connection]);
}

/** Whether a socket has lost its connection without being closed: it was sent to another process. */
export function isDetached(socket: Duplex): boolean {
  return socket instanceof net.Socket && socket.pending && !socket.connecting;
}

function internalsOf(server: Server): ServerInternals {
  return server as unknown as ServerInternals;
}

function internalsOfSocket(socket: Duplex): SocketInternals {
  return socket as unknown as SocketInternals;
}

function unsupported(what: string): UnsupportedNodeError {
  return new UnsupportedNodeError(
    `Node ${process.versions.node} is not supported: ${what}. Use a version prefork was tested with: 20, 22, 24, 26`,
  );
}
