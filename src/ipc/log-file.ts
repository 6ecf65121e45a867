/** How log files are opened, in the master and in workers alike. */
import { constants, fchownSync, fstatSync, openSync } from 'node:fs';
import { FileError, messageOf } from '../errors.ts';

/**
 * Opens a log to append to, so that it may be truncated under us; never through a link, which in a shared directory may
 * lead anywhere.
 *
 * @throws FileError
 */
export function openLogFile(path: string, what = 'log'): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o640);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ELOOP' ? 'it is a symbolic link, which a log is never written through' : messageOf(error);
    throw new FileError(`cannot open the ${what} ${path}: ${reason}`, { cause: error });
  }
}

/** Gives a file that was just made to whoever is to write it. */
export function giveAway(fd: number, uid: number, gid: number): void {
  const stat = fstatSync(fd);
  if (stat.uid !== uid || stat.gid !== gid) fchownSync(fd, uid, gid);
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
