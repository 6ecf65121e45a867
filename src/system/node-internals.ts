/**
 * Everything in prefork that leans on parts of Node without a documented contract, and nothing else. Each function
 * says what it relies on; `test/integration/system/node-internals.test.ts` holds them against every supported version.
 */
import type { ChildProcess } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import type { ServerResponse } from 'node:http';
import Module from 'node:module';
import net, { type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { UnsupportedNodeError } from '../errors.ts';
import { checkClusterMessage } from './cluster-messages.ts';

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
  readonly flags: number;
}

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
}

interface ServerInternals {
  _handle: (Handle & Record<symbol, unknown>) | null;
  _listeningId: number;
  _pipeName?: string;
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

/**
 * Lets through only what the master may do for a worker it does not trust. Plain node:cluster binds any address a
 * worker names, with the master's rights, and can be made to throw by an odd `act`.
 *
 * Relies on node:cluster's listener being the last one for 'internalMessage' right after fork().
 */
export function filterClusterMessages(worker: Worker, mayBind: (port: number) => boolean = () => true): void {
  const child = worker.process;
  const listener = child.listeners('internalMessage' as 'message').at(-1);
  // A fork that failed has no channel, and nothing can arrive.
  if (listener === undefined && child.pid === undefined) return;
  if (listener?.name !== 'onInternalMessage') throw unsupported("node:cluster's message listener is not where it was");
  const datagramSockets = new Map<string, number>();
  child.removeListener('internalMessage', listener as () => void);
  child.on('internalMessage', (raw: unknown, handle: unknown) => {
    const message = checkClusterMessage(raw, datagramSockets, mayBind);
    if (message === null) return;
    if (typeof message !== 'number') Reflect.apply(listener, child, [message, handle]);
    // Without an answer the app would wait for ever.
    else if (child.connected) {
      const { seq } = raw as { seq: number };
      child.send({ cmd: 'NODE_CLUSTER', ack: seq, errno: message }, undefined, {}, () => {});
    }
  });
}

/** Characters of one message that have arrived, before its end has. */
const maxUnfinished = 8 * 1024 * 1024;

interface ChannelHandle {
  onread: (buffer: unknown) => void;
}

/**
 * Keeps what a worker writes to its channel from throwing in Node's own code here, where it would end the master: bytes
 * that are no JSON, messages without an end, and Node's own words where they make no sense.
 *
 * Relies on the channel's handle under the child's 'kChannelHandle', on its `onread`, on what has arrived of a message
 * being its 'kJSONBuffer', on Node's own listener being the first for 'internalMessage' and on `child._handleQueue` being
 * an array exactly while an acknowledgement is due.
 *
 * @param onOffence called with what it did, once
 */
export function guardChannel(worker: Worker, onOffence: (reason: string) => void): void {
  const child = worker.process as unknown as ChildProcess & Record<symbol, ChannelHandle | undefined>;
  const channel = child[symbolOf(child, 'kChannelHandle') ?? Symbol()];
  if (channel === undefined && child.pid === undefined) return;
  if (typeof channel?.onread !== 'function') throw unsupported("a child's channel is not where it was");
  let isOver = false;
  const offend = (reason: string): void => {
    if (!isOver) onOffence(reason);
    isOver = true;
  };
  const { onread } = channel;
  channel.onread = (buffer) => {
    // Of a channel with an offence only the end is of interest.
    if (isOver && buffer) return;
    try {
      Reflect.apply(onread, channel, [buffer]);
    } catch {
      offend('what it wrote to its channel is no JSON');
    }
    const unfinished = (channel as unknown as Record<symbol, unknown>)[symbolOf(channel, 'kJSONBuffer') ?? Symbol()];
    if (typeof unfinished === 'string' && unfinished.length > maxUnfinished) offend('a message without an end');
  };
  const [own] = child.listeners('internalMessage' as 'message');
  if (own === undefined) throw unsupported("a child's own message listener is not where it was");
  child.removeListener('internalMessage', own as () => void);
  child.prependListener('internalMessage' as 'message', (raw: unknown, handle: unknown) => {
    closeSentAlong(handle);
    const { cmd, msg } = (raw ?? {}) as { cmd?: unknown; msg?: unknown };
    const isAcknowledgement = cmd === 'NODE_HANDLE_ACK' || cmd === 'NODE_HANDLE_NACK';
    const isExpected = Array.isArray((child as unknown as { _handleQueue?: unknown })._handleQueue);
    if (isAcknowledgement && !isExpected) offend('it acknowledges what it was not sent');
    else if (cmd === 'NODE_HANDLE') {
      // Node would make a server or a socket of it, as the worker says, listen on it, and throw if that is impossible.
      if (isOver || !child.connected) return;
      child.send({ cmd: 'NODE_HANDLE_ACK' }, undefined, {}, () => {});
      process.nextTick(() => child.emit('message', msg, undefined));
    } else if (!isOver) Reflect.apply(own, child, [raw, undefined]);
  });
}

/** The master has no use for what a worker sends along; its descriptor would stay open. */
function closeSentAlong(handle: unknown): void {
  const { close } = (handle ?? {}) as { close?: unknown };
  if (typeof close === 'function') Reflect.apply(close, handle, []);
}

/** Answers one `listen()`: with a handle, or with libuv's negative error number. */
export type ListenAnswer = (answer: Handle | number) => void;

/**
 * Has every `listen()` of this worker that wants a socket ask `serve` instead of node:cluster's primary. UDP goes on
 * to node:cluster.
 *
 * Relies on `cluster._getServer`, and on `server._listeningId` changing when a server is closed meanwhile.
 */
export function takeOverListen(serve: (server: Server, query: ListenQuery, answer: ListenAnswer) => void): void {
  const internals = cluster as unknown as { _getServer?: GetServer };
  const original = internals._getServer;
  if (typeof original !== 'function') throw unsupported('cluster._getServer is missing');
  internals._getServer = (server, raw, callback) => {
    if (!(server instanceof net.Server)) return original(server, raw, callback);
    const listeningId = internalsOf(server)._listeningId;
    serve(server, toQuery(raw), (answer) => {
      if (typeof answer !== 'number') callback(0, answer);
      // Node would close the handle that an error does not come with.
      else if (internalsOf(server)._listeningId === listeningId) callback(answer, null);
    });
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
 * Relies on Node asking `getsockname` once, before anything else, whether the port is the one that was wanted, on
 * `handle.listen` being how it sets the backlog, and on `handle.close` being how it stops to accept.
 */
export function prepareHandle(
  handle: Handle,
  options: { readonly askedPort: number | null; readonly backlog: number; readonly onClose: () => void },
): void {
  const { askedPort, backlog, onClose } = options;
  const address = handleAddress(handle);
  if (askedPort !== null && askedPort > 0 && address !== null && address.port !== askedPort) {
    handle.getsockname = (out) => {
      delete handle.getsockname;
      Object.assign(out, address, { port: askedPort });
      return 0;
    };
  }
  const { listen, close } = handle;
  handle.listen = () => Reflect.apply(listen, handle, [backlog]);
  handle.close = (callback) => {
    onClose();
    Reflect.apply(close, handle, callback === undefined ? [] : [callback]);
  };
}

/** The descriptor of a listening server, `null` if it does not listen. Relies on `server._handle.fd`. */
export function descriptorOf(server: Server): number | null {
  const fd = internalsOf(server)._handle?.fd;
  return fd === undefined || fd < 0 ? null : fd;
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
  if ((server as unknown as { _unref?: boolean })._unref !== true) handle.ref();
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
    const result = Reflect.apply(original, this, [error, done]);
    callback(this);
    return result;
  };
  Object.defineProperty(destroy, 'name', { value: original.name });
  Object.defineProperty(prototype, '_destroy', { ...own, value: destroy });
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
