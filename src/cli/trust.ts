/**
 * Whom a command believes: a control socket, and a folder of sockets, of the operator's own user or of root. In a shared
 * folder such as /tmp another user can put a socket in the place where a service's would be, and answer for it.
 */
import { constants, fstatSync, lstatSync, openSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ControlError } from '../errors.ts';
import { describeUser } from '../system/identity.ts';
import { isReplaceableByOthers } from '../system/paths.ts';

/** Linux, see open(2): a descriptor that stands for the file itself, whatever its path comes to lead to. */
const O_PATH = 0o10000000;

/** Users whose sockets were used as theirs, which is said once. */
const said = new Set<string>();

/**
 * Checks whose a socket is, and gives a path that leads to this very socket: nobody can put another one in its place
 * between the check and the connection.
 *
 * @returns a path to connect to, and the descriptor that it needs until then
 * @throws ControlError if it may be another user's; its cause is the system's error if it cannot be opened
 */
export function openTrusted(path: string): { readonly path: string; readonly fd: number | null } {
  const link = linkAt(path);
  // What is not there, or not to be seen, is the system's to report when it is connected to.
  if (link === null || process.geteuid === undefined) return { path, fd: null };
  if (link.isSymbolicLink() && !isOurs(link.uid)) throw strange(path, link, 'the link');
  const folder = dirname(path);
  if (isReplaceableByOthers(folder))
    throw new ControlError(
      `${path} cannot be trusted: everybody can replace files in ${folder}; chmod o-w it, or chmod +t it`,
    );
  const fd = openSocket(path);
  const stat = fd === null ? statSync(path) : fstatSync(fd);
  if (!stat.isSocket()) throw new ControlError(`${path} is not a socket`);
  if (!isOurs(stat.uid)) acceptAsTheirs(path, stat);
  return fd === null ? { path, fd } : { path: `/proc/self/fd/${fd}`, fd };
}

function linkAt(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

/** @throws ControlError as {@link openTrusted} does, also of what is missing. */
function openSocket(path: string): number | null {
  if (process.platform !== 'linux') return null;
  try {
    return openSync(path, O_PATH | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      code === 'EACCES' || code === 'EPERM' ? `${path} belongs to another user` : `no prefork listens on ${path}`;
    throw new ControlError(reason, { cause: error });
  }
}

function isOurs(uid: number): boolean {
  return uid === process.geteuid?.() || uid === 0;
}

/**
 * Root steers the service of another user if it was told where that one is, and if nobody but that user and root can have
 * put the socket there. It is told whose words it reads.
 */
function acceptAsTheirs(path: string, stat: Stats): void {
  if (process.geteuid?.() !== 0 || !isTheirs(dirname(realpathSync(path)), stat.uid)) throw strange(path, stat, 'it');
  const user = describeUser(stat.uid);
  if (said.has(user)) return;
  said.add(user);
  console.error(`prefork: note: ${path} belongs to ${user}: what it says is what that user says`);
}

/** Whether a folder, and all above it, can be changed by root and this user alone. */
function isTheirs(folder: string, uid: number): boolean {
  const { uid: owner, mode } = statSync(folder);
  if ((owner !== uid && owner !== 0) || (mode & 0o022) !== 0) return false;
  return folder === dirname(folder) || isSafeAbove(dirname(folder), uid);
}

/** Above it, a folder such as /tmp may be open to all: its sticky bit keeps them from what is not theirs. */
function isSafeAbove(folder: string, uid: number): boolean {
  const { uid: owner, mode } = statSync(folder);
  const isFine = (owner === uid || owner === 0) && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
  return isFine && (folder === dirname(folder) || isSafeAbove(dirname(folder), uid));
}

function strange(path: string, { uid }: Stats, what: string): ControlError {
  const folder = dirname(path);
  const where = process.geteuid?.() === 0 ? `; run this command as that user, or remove it if ${folder} is yours` : '';
  return new ControlError(`${path} belongs to another user: ${what} is ${describeUser(uid)}'s${where}`);
}
