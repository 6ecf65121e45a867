/**
 * The claim of the pidfile: written atomically, never through a link, refused if a live master holds it, removed if it is
 * still ours. Beside a master that lives and holds it ours is `<pidfile>.2`, as Gunicorn's is.
 */
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { shorten } from '../../config/show.ts';
import { AlreadyRunningError, FileError, messageOf } from '../../errors.ts';
import { isReplaceableByOthers, removeQuietly } from '../../system/paths.ts';
import { isAlive } from '../../system/processes.ts';
import { randomName } from '../../system/random-name.ts';
import type { Claim, ClaimsBequest } from './claim.ts';

export interface PidfileOptions {
  /** Its path as the settings in force say; `null` is none. */
  readonly path: () => string | null;
  /** Whether it is time to write it: that it exists says that the service is ready. */
  readonly isDue: () => boolean;
  /** The pid of the master before this one, which may hold it; `null` if there is none. */
  readonly predecessor?: number | null;
  /** It was removed by somebody, and is there again. */
  readonly onRestored?: (path: string) => void;
}

export class Pidfile implements Claim {
  readonly #options: PidfileOptions;
  /** It may hold the file, until we take over. */
  #predecessor: number | null;
  /** The setting by which our pid was written; `null` if it was not. */
  #path: string | null = null;
  /** Where our pid is: there, or beside it. */
  #at = '';
  /** The next master has it. */
  #isHeirs = false;

  constructor(options: PidfileOptions) {
    this.#options = options;
    this.#predecessor = options.predecessor ?? null;
  }

  /** @throws AlreadyRunningError, FileError as {@link checkPidfile}, and FileError if it cannot be written */
  ensure(): void {
    const path = this.#options.path();
    if (path === this.#path) {
      if (path !== null) this.#restore(path);
      removeStaleSecond(path, this.#at);
      return;
    }
    if (!this.#options.isDue()) return;
    this.release();
    if (path === null) return;
    checkFolder(path);
    const isHeld = this.#predecessor !== null && holderOf(path) === this.#predecessor;
    const at = isHeld ? secondOf(path) : path;
    withOurPid(path, (temporary) => place(temporary, at, this.#predecessor));
    this.#path = path;
    this.#at = at;
  }

  /**
   * Writes it again if somebody has removed it. What is in its place instead is left alone.
   *
   * @throws FileError if something else is, or if it cannot be written
   */
  #restore(path: string): void {
    const at = this.#at;
    if (this.#isHeirs || isOurs(at)) return;
    if (lstatSync(at, { throwIfNoEntry: false }) !== undefined) {
      throw new FileError(`the pidfile ${at} is not ours any more: ${whatHolds(at)} is in its place; it is left alone`);
    }
    withOurPid(path, (temporary) => place(temporary, at, this.#predecessor));
    this.#options.onRestored?.(at);
  }

  /**
   * Renames ours into its place.
   *
   * @throws AlreadyRunningError if a third master holds it
   * @throws FileError if it cannot be written
   */
  takeOver(): void {
    this.#isHeirs = false;
    const path = this.#path;
    if (path !== null && pidIn(path) !== process.pid) {
      refuseHeld(path, this.#predecessor);
      // It may have been the other master's since we have written it.
      if (this.#at !== path && pidIn(this.#at) === process.pid) rename(this.#at, path);
      else withOurPid(path, (temporary) => rename(temporary, path));
      this.#at = path;
    }
    this.#predecessor = null;
    this.ensure();
  }

  /** The other master's pid is in it now. */
  yield(): void {
    this.#isHeirs = true;
  }

  release(): void {
    if (this.#path !== null && isOurs(this.#at)) removeQuietly(this.#at);
    this.#path = null;
  }

  /** The next master finds it by its settings. */
  bequest(): Partial<ClaimsBequest> {
    return {};
  }
}

/**
 * Checks that a pidfile can be written.
 *
 * @param predecessor a master that may hold it
 * @throws AlreadyRunningError if a live master holds it
 * @throws FileError if something that is not a pidfile is in the way, or if none can be written
 */
export function checkPidfile(path: string, predecessor: number | null = null): void {
  checkFolder(path);
  refuseHeld(path, predecessor);
  // A file system that is full or read-only, and the like.
  withOurPid(path, () => {});
}

/**
 * What a pidfile that is there has been left by, in one line.
 *
 * @returns `null` if there is none, or if a master holds it
 */
export function staleNote(path: string): string | null {
  const pid = pidIn(path);
  if (pid === null || pid === process.pid || isMaster(pid)) return null;
  const what = isAlive(pid) ? `pid ${pid} is another program now${nameOf(pid)}` : `there is no process ${pid}`;
  return `the pidfile ${path} is stale (${what}): a master ended without removing it, it is replaced`;
}

function nameOf(pid: number): string {
  try {
    return `, ${shorten(readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), 20)}`;
  } catch {
    return '';
  }
}

/** What `ps` shows for the master, and by which a pidfile's process is recognised: `prefork: master [name]`. */
export function masterTitle(name: string): string {
  return name === '' ? 'prefork: master' : `prefork: master [${name}]`;
}

const folderTrouble: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is not a directory',
  EACCES: 'cannot be written by this user',
  EROFS: 'is on a file system that is read-only',
};

/** A directory that is missing is found before anything runs. If every user can move files in it, root's can be replaced. */
function checkFolder(path: string): void {
  const folder = dirname(path);
  try {
    // With the dot, so that a file is no directory.
    accessSync(`${folder}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const why = folderTrouble[code] ?? 'the system refuses it';
    throw new FileError(`cannot write the pidfile ${path}: ${code}, ${folder} ${why}`, { cause: error });
  }
  if (process.geteuid?.() !== 0 || !isReplaceableByOthers(folder)) return;
  throw new FileError(
    `cannot write the pidfile ${path}: ${folder} is writable by everybody; as root choose another, or chmod +t it`,
  );
}

function refuseHeld(path: string, predecessor: number | null): void {
  const holder = holderOf(path);
  if (holder === null || holder === predecessor) return;
  throw new AlreadyRunningError(
    `already running: ${path} is held by the master with pid ${holder}; stop that one first, or give this one a pidfile of its own (--pid)`,
  );
}

/** Has a file with our pid in the same directory, to be linked or renamed. */
function withOurPid(path: string, use: (temporary: string) => void): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomName(6)}`);
  try {
    const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
    try {
      writeSync(fd, `${process.pid}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    removeQuietly(temporary);
    throw new FileError(`cannot write the pidfile ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    use(temporary);
  } finally {
    removeQuietly(temporary);
  }
}

/** A link fails if the name is taken, so that of two masters that start together one is refused. */
function place(temporary: string, at: string, predecessor: number | null): void {
  for (let attempt = 0; ; attempt += 1) {
    try {
      linkSync(temporary, at);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt >= 5)
        throw new FileError(`cannot write the pidfile ${at}: ${messageOf(error)}`, { cause: error });
    }
    checkPidfile(at, predecessor);
    removeQuietly(at);
  }
}

function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw new FileError(`cannot rename the pidfile ${from} to ${to}: ${messageOf(error)}`, { cause: error });
  }
}

function secondOf(path: string): string {
  return `${path}.2`;
}

/** A new master that was killed leaves its own behind. */
function removeStaleSecond(path: string | null, ours: string): void {
  if (path === null || ours !== path) return;
  const second = secondOf(path);
  try {
    if (pidIn(second) !== null && holderOf(second) === null) removeQuietly(second);
  } catch {
    // It is no pidfile.
  }
}

function isOurs(path: string): boolean {
  try {
    return pidIn(path) === process.pid;
  } catch {
    // Something else is in its place.
    return false;
  }
}

/**
 * @returns the pid of a live master that holds the file; `null` if it is free or stale
 * @throws FileError if it is no pidfile, or cannot be read
 */
export function masterIn(path: string): number | null {
  return holderOf(path);
}

function whatHolds(path: string): string {
  try {
    const holder = holderOf(path);
    if (holder !== null) return `the pid ${holder} of another master`;
  } catch (error) {
    // It is no pidfile.
    if (!(error instanceof FileError)) throw error;
  }
  return 'something else';
}

function holderOf(path: string): number | null {
  const pid = pidIn(path);
  return pid !== null && pid !== process.pid && isMaster(pid) ? pid : null;
}

/** What a pidfile may hold, in bytes: a pid, and what follows it. */
const maxSize = 32;

/**
 * @returns `null` if there is no file, or one that holds nothing or no process's pid
 * @throws FileError if it is no regular file, cannot be read, or holds anything else than a number: it is somebody's
 */
function pidIn(path: string): number | null {
  let fd: number;
  try {
    if (!lstatSync(path).isFile()) {
      throw new FileError(`the pidfile ${path} exists and is not a regular file; remove it or choose another path`);
    }
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    if (error instanceof FileError) throw error;
    throw new FileError(`cannot read the pidfile ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    if (!fstatSync(fd).isFile()) return null;
    const start = Buffer.alloc(maxSize + 1);
    const size = readSync(fd, start, 0, start.length, 0);
    // A machine that lost its power may leave zeros.
    const text = start.toString('latin1', 0, size).replace(/^\0+$/, '').trim();
    if (size > maxSize || !/^\d{0,10}$/.test(text)) {
      throw new FileError(
        `${path} is no pidfile: it holds something else than a pid, and is left as it is; choose another path (--pid), or remove it`,
      );
    }
    return Number(text) > 1 ? Number(text) : null;
  } finally {
    closeSync(fd);
  }
}

/**
 * Whether a process is one of our masters. A pid alone proves nothing: it may have been used again since the file was
 * written.
 */
function isMaster(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(masterTitle(''));
  } catch {
    // No /proc here: a live process with the pid in our file is most likely ours, and must not be overwritten.
    return process.platform !== 'linux';
  }
}
