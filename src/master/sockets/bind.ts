/** Binds addresses: one handle per queue, none of them accepting. */
import dns from 'node:dns';
import { existsSync, lchownSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { getSystemErrorName } from 'node:util';
import type { Address } from '../../config/address.ts';
import { BindError, messageOf } from '../../errors.ts';
import type { Owner } from '../../system/identity.ts';
import {
  bindHandle,
  type Handle,
  handleAddress,
  type ListenQuery,
  UV_TCP_IPV6ONLY,
  UV_TCP_REUSEPORT,
} from '../../system/node-internals.ts';
import { maxUnixPath } from '../../system/paths.ts';
import { inUse } from './in-use.ts';
import { whyNotServable } from './passed-socket.ts';
import { clearStaleSocket, isAbstract, modeFor, type SocketRights } from './unix-socket.ts';

export interface BindOptions extends SocketRights {
  /** Kernel queues to make for a TCP address; above 1 they share it by SO_REUSEPORT. */
  readonly queues: number;
}

/** What to bind, in the terms of node:net; host names are resolved. */
export interface Target {
  /** The address as an operator writes it. */
  readonly label: string;
  /** `null` is the unspecified address, both families if the machine has them. */
  readonly host: string | null;
  readonly port: number;
  readonly addressType: 4 | 6 | -1;
  readonly fd: number | null;
  /** As of a {@link ListenQuery}: what the address is to serve, or which users. */
  readonly flags: number;
}

/** @throws BindError if the host name is unknown */
export async function resolveTarget(address: Address): Promise<Target> {
  switch (address.kind) {
    case 'unix':
      return { label: `unix:${address.path}`, host: address.path, port: -1, addressType: -1, fd: null, flags: 0 };
    case 'fd':
      return { label: `fd://${address.fd}`, host: null, port: -1, addressType: -1, fd: address.fd, flags: 0 };
    case 'tcp': {
      const label = tcpLabel(address.host, address.port);
      const host = isIP(address.host) === 0 ? await resolveHost(address.host, label) : address.host;
      return { label, host, port: address.port, addressType: isIP(host) === 6 ? 6 : 4, fd: null, flags: 0 };
    }
  }
}

export function tcpLabel(host: string | null, port: number): string {
  const shown = host ?? '*';
  return shown.includes(':') ? `[${shown}]:${port}` : `${shown}:${port}`;
}

/**
 * @returns the queues of the address, at least one
 * @throws BindError naming the address, the reason and what to do
 */
export async function bindTarget(target: Target, options: BindOptions): Promise<Handle[]> {
  if (target.fd !== null) return [wrapInherited(target, target.fd)];
  if (target.addressType === -1) return [await bindUnix(target, options)];
  return options.queues > 1 ? bindQueues(target, options.queues) : [bindTcp(target, target.port, 0)];
}

function bindTcp(target: Target, port: number, flags: number): Handle {
  const handle = bindHandle(target.host, port, target.addressType, null, flags | (target.flags & UV_TCP_IPV6ONLY));
  if (typeof handle === 'number') throw bindError(target.label, handle);
  return handle;
}

/**
 * SO_REUSEPORT lets another process of the same user take half of our connections without an error, and us theirs: a
 * plain bind first finds out whether another process listens there.
 */
function bindQueues(target: Target, queues: number): Handle[] {
  if (target.port !== 0) bindTcp(target, target.port, 0).close();
  const handles: Handle[] = [];
  try {
    const first = bindTcp(target, target.port, UV_TCP_REUSEPORT);
    handles.push(first);
    const port = handleAddress(first)?.port ?? target.port;
    while (handles.length < queues) handles.push(bindTcp(target, port, UV_TCP_REUSEPORT));
    return handles;
  } catch (error) {
    for (const handle of handles) handle.close();
    throw error;
  }
}

/** A further queue of an address that has some already. @throws BindError */
export function bindFurther(target: Target, port: number): Handle {
  return bindTcp(target, port, UV_TCP_REUSEPORT);
}

async function bindUnix(target: Target, { socketMode, socketOwner }: BindOptions): Promise<Handle> {
  const path = target.host ?? '';
  // libuv cuts a longer one, and binds somewhere else.
  if (Buffer.byteLength(path) > maxUnixPath) throw bindError(target.label, -constants.errno.ENAMETOOLONG);
  if (isAbstract(path)) return bindPath(target, path);
  await clearStaleSocket(path);
  // The umask gives the mode at the moment of creation: a chmod after it would leave a moment in which any user can connect.
  const umask = process.umask(0o777 & ~modeFor(socketMode, target.flags));
  try {
    const handle = bindPath(target, path);
    if (socketOwner !== null) giveAway(path, socketOwner, handle);
    return handle;
  } finally {
    process.umask(umask);
  }
}

function bindPath({ label }: Target, path: string): Handle {
  const handle = bindHandle(path, -1, -1, null, 0);
  if (typeof handle !== 'number') return handle;
  // libuv says EACCES when the system said ENOENT.
  throw bindError(label, isAbstract(path) || existsSync(dirname(path)) ? handle : -constants.errno.ENOENT);
}

function giveAway(path: string, { uid, gid }: Owner, handle: Handle): void {
  try {
    lchownSync(path, uid, gid);
  } catch (error) {
    handle.close();
    const advice = 'only root can give a socket away; leave socketOwner out, or name a group of your own';
    throw new BindError(`unix:${path}`, 'EPERM', `cannot give unix:${path} to its owner: ${advice} (EPERM)`, {
      cause: error,
    });
  }
}

function wrapInherited(target: Target, fd: number): Handle {
  checkInherited(target, fd);
  const handle = bindHandle(null, -1, -1, fd, 0);
  if (typeof handle !== 'number') return handle;
  throw notListening(target, fd, '');
}

/** @throws BindError if the descriptor is no socket that can be served */
export function checkInherited(target: Target, fd: number): void {
  let isSocket = false;
  try {
    isSocket = statSync(`/proc/self/fd/${fd}`).isSocket();
  } catch {
    isSocket = process.platform !== 'linux';
  }
  const other = isSocket ? whyNotServable(fd) : null;
  if (isSocket && other === null) return;
  throw notListening(
    target,
    fd,
    other === null ? '' : ` but ${other}; a systemd socket needs ListenStream= and Accept=no`,
  );
}

function notListening({ label }: Target, fd: number, what: string): BindError {
  return new BindError(
    label,
    'EBADF',
    `cannot use ${label}: file descriptor ${fd} is not an open listening socket${what}`,
  );
}

async function resolveHost(host: string, label: string): Promise<string> {
  try {
    return (await dns.promises.lookup(host)).address;
  } catch (error) {
    throw new BindError(label, 'ENOTFOUND', `cannot bind ${label}: host name not found (${messageOf(error)})`, {
      cause: error,
    });
  }
}

const advice: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; ports below 1024 need root, CAP_NET_BIND_SERVICE or a socket from the service manager',
  EADDRNOTAVAIL: 'no interface of this machine has that address',
  EAFNOSUPPORT: 'this machine has no such address family (is IPv6 disabled?)',
  ENOENT: 'the directory does not exist',
  ENOTDIR: 'a part of the path is not a directory',
  ENAMETOOLONG: 'the path is longer than the 107 bytes a unix socket can have',
};

/** @param errno libuv's negative number */
export function bindError(label: string, errno: number): BindError {
  const name = getSystemErrorName(errno);
  if (name === 'EADDRINUSE') return new BindError(label, name, inUse('cannot bind', label));
  const unixAccess = name === 'EACCES' && label.startsWith('unix:');
  const reason = unixAccess ? 'permission denied in the directory' : (advice[name] ?? 'the system refuses it');
  return new BindError(label, name, `cannot bind ${label}: ${reason} (${name})`);
}
