/** What stands at a unix socket's path: before we bind there nothing, something stale, or something we must not touch. */
import { chmodSync, chownSync, closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { BindError, messageOf } from '../../errors.ts';
import type { Owner } from '../../system/identity.ts';
import { UV_READABLE, UV_WRITABLE } from '../../system/node-internals.ts';
import { inUse } from './in-use.ts';

/** The users that may connect to a unix socket. */
export interface SocketRights {
  /** Permission bits. */
  readonly socketMode: number;
  readonly socketOwner: Owner | null;
}

/** Whether it is a name of Linux's own namespace, which leaves no file. See unix(7). */
export function isAbstract(path: string): boolean {
  return path.startsWith('\0');
}

/** @param flags what the app has asked for beside: `readableAll`, `writableAll` */
export function modeFor(socketMode: number, flags: number): number {
  return socketMode | (flags & UV_READABLE ? 0o444 : 0) | (flags & UV_WRITABLE ? 0o222 : 0);
}

/** Linux: a descriptor that stands for the path itself, for sockets can be opened in no other way. See open(2). */
const O_PATH = 0o10000000;

/**
 * Changes which users may connect to a socket that is bound already.
 *
 * In a directory that others can write the path may have become a link, or another name of a file that is not ours: the
 * descriptor is looked at first, and what is changed is what it stands for.
 *
 * @throws Error if the path is no socket of ours, or the system refuses
 */
export function changeRights(path: string, { socketMode, socketOwner }: SocketRights): void {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const stat = fstatSync(fd);
    if (!stat.isSocket() || stat.nlink !== 1) throw new Error('something else is in its place');
    const itself = `/proc/self/fd/${fd}`;
    // Users that are shut out are so first.
    chmodSync(itself, stat.mode & socketMode);
    if (socketOwner !== null) chownSync(itself, socketOwner.uid, socketOwner.gid);
    chmodSync(itself, socketMode);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes way for a new socket: a socket file on which no process listens is removed.
 *
 * @param what cannot be done otherwise, for messages
 * @throws BindError if a live process listens there, or if the path is not a socket
 */
export async function clearStaleSocket(path: string, what = 'cannot bind'): Promise<void> {
  if (await isStaleSocket(path, what)) unlinkSync(path);
}

/**
 * @returns whether a socket file is there on which no process listens
 * @throws BindError as {@link clearStaleSocket}
 */
export async function isStaleSocket(path: string, what = 'cannot bind'): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new BindError(`unix:${path}`, 'EEXIST', `${what} unix:${path}: the path exists and is not a socket`);
    }
  } catch (error) {
    if (error instanceof BindError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new BindError(`unix:${path}`, 'EACCES', `${what} unix:${path}: ${messageOf(error)}`, { cause: error });
  }
  if (await isLive(path)) throw new BindError(`unix:${path}`, 'EADDRINUSE', inUse(what, `unix:${path}`));
  return true;
}

function isLive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (live: boolean) => {
      socket.destroy();
      resolve(live);
    };
    socket.once('connect', () => answer(true));
    // EAGAIN is a live socket with a full backlog. Anything unclear is taken for live: it must not be removed.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
    socket.setTimeout(1_000, () => answer(true));
  });
}
