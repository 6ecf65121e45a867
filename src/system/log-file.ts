/** How log files are opened, in the master and in workers alike. */
import { closeSync, constants, fchownSync, fstatSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError, messageOf } from '../errors.ts';
import { isReplaceableByOthers, removeIfOurs } from './paths.ts';

/**
 * Opens a log to append to, so that it may be truncated under us; never through a link, which in a shared directory may
 * lead anywhere. As root, not where others could put a link, or a second name of another file, in its place.
 *
 * @throws FileError
 */
export function openLogFile(path: string, what = 'log'): number {
  return openOrMake(path, what).fd;
}

/**
 * As {@link openLogFile}, and the file is then of whom it is for. One that was there before is given away only where none
 * but root can have put it there: it may be a second name of any file (CVE-2016-1247 was such a log).
 *
 * @throws FileError
 */
export function openLogFileFor(path: string, what: string, { uid, gid }: { uid: number; gid: number }): number {
  const { fd, isNew } = openOrMake(path, what);
  try {
    const stat = fstatSync(fd);
    if ((stat.uid === uid && stat.gid === gid) || !stat.isFile()) return fd;
    const folder = statSync(dirname(path));
    if (!isNew && stat.uid !== uid && (folder.uid !== 0 || (folder.mode & 0o022) !== 0)) {
      const advice = `it belongs to uid ${stat.uid}, in a directory where others than root can put files`;
      throw new FileError(`cannot give the ${what} ${path} to uid ${uid}: ${advice}; remove it, or chown it yourself`);
    }
    fchownSync(fd, uid, gid);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Whether a log could be opened, as {@link openLogFile} does it; what was not there before is not there afterwards.
 *
 * @throws FileError
 */
export function checkLogFile(path: string, what = 'log'): void {
  const { fd, isNew } = openOrMake(path, what);
  const { ino, size } = fstatSync(fd, { bigint: true });
  closeSync(fd);
  if (isNew && size === 0n) removeIfOurs(path, ino);
}

function openOrMake(path: string, what: string): { readonly fd: number; readonly isNew: boolean } {
  const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  const isRoot = process.geteuid?.() === 0;
  try {
    if (isRoot) checkFolder(dirname(path));
    try {
      return { fd: openSync(path, flags | O_CREAT | O_EXCL, 0o640), isNew: true };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const fd = openSync(path, flags | O_CREAT, 0o640);
    const stat = fstatSync(fd);
    if (!isRoot || !stat.isFile() || stat.nlink <= 1) return { fd, isNew: false };
    closeSync(fd);
    throw new Error('it has other names (hard links), and as root prefork does not write to what may be another file');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ELOOP' ? 'it is a symbolic link, which a log is never written through' : messageOf(error);
    throw new FileError(`cannot open the ${what} ${path}: ${reason}`, { cause: error });
  }
}

function checkFolder(folder: string): void {
  if (!isReplaceableByOthers(folder)) return;
  throw new Error(`${folder} is writable by everybody; as root choose another, or chmod +t it`);
}

/**
 * A write to a pipe that nobody reads would block a thread of the pool for ever, and with it the exit of the process. The
 * pipe is opened anew: whether it blocks is then our own business, and not that of all who share it.
 *
 * @returns a descriptor to write to: another one, or the same
 */
export function openAnew(fd: number): number {
  try {
    if (fstatSync(fd).isFIFO()) return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // It is closed, or somebody else's: what is written there may be lost.
  }
  return fd;
}
