/** The pidfile: written atomically, never through a link, refused where a live master holds it, removed if still ours. */
import { randomBytes } from 'node:crypto';
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
import { AlreadyRunningError, FileError, messageOf } from '../../errors.ts';
import { isReplaceableByOthers, removeQuietly } from '../../system/paths.ts';
import { masterTitle } from '../service/title.ts';

export class Pidfile {
  readonly path: string;
  /** Whom we replace: while it lives and holds the file, ours is `<path>.2`, as Gunicorn's is. */
  readonly #predecessor: number | null;
  /** Where our pid is. */
  #at: string;
  #written = false;

  constructor(path: string, predecessor: number | null = null) {
    this.path = path;
    this.#at = path;
    this.#predecessor = predecessor;
  }

  /** Takes the place of the predecessor's; at once, so that there is one at any moment. @throws FileError */
  promote(): void {
    if (!this.#written || this.#at === this.path) return;
    this.#refuseHeld(this.path);
    try {
      renameSync(this.#at, this.path);
      this.#at = this.path;
    } catch (error) {
      throw new FileError(`cannot rename the pidfile ${this.#at} to ${this.path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Removes what a new master that was killed left behind. */
  removeSecond(pid: number): void {
    const second = secondOf(this.path);
    if (this.#read(second) === pid) removeQuietly(second);
  }

  /**
   * @throws AlreadyRunningError where a live master holds it
   * @throws FileError where something that is not a pidfile is in the way, or where none can be written
   */
  check(): void {
    this.#checkFolder();
    this.#refuseHeld(this.#at);
  }

  #refuseHeld(path: string): void {
    const holder = this.#holder(path);
    if (holder !== null && holder !== this.#predecessor) {
      throw new AlreadyRunningError(
        `already running: ${path} is held by the master with pid ${holder}; stop that one first, or give this one a pidfile of its own (--pid)`,
      );
    }
  }

  /** Writes our pid. Throws as {@link check} does, and FileError where it cannot be written. */
  write(): void {
    this.#checkFolder();
    const isHeld = this.#predecessor !== null && this.#holder(this.path) === this.#predecessor;
    this.#at = isHeld ? secondOf(this.path) : this.path;
    const temporary = join(dirname(this.path), `.${basename(this.path)}.${randomBytes(6).toString('hex')}`);
    try {
      const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
      try {
        writeSync(fd, `${process.pid}\n`);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      removeQuietly(temporary);
      throw new FileError(`cannot write the pidfile ${this.path}: ${messageOf(error)}`, { cause: error });
    }
    try {
      this.#place(temporary);
    } finally {
      removeQuietly(temporary);
    }
    this.#written = true;
  }

  /** One that is missing is found before anything runs. Where everybody can move files about, root's can be replaced. */
  #checkFolder(): void {
    const folder = dirname(this.path);
    try {
      accessSync(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new FileError(`cannot write the pidfile ${this.path}: ${messageOf(error)}`, { cause: error });
    }
    if (process.geteuid?.() !== 0) return;
    if (!isReplaceableByOthers(folder)) return;
    throw new FileError(
      `cannot write the pidfile ${this.path}: ${folder} is writable by everybody; as root choose another, or chmod +t it`,
    );
  }

  /** A link fails where the name is taken, so of two masters that start together one is refused. */
  #place(temporary: string): void {
    for (let attempt = 0; ; attempt += 1) {
      try {
        linkSync(temporary, this.#at);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt >= 5) {
          throw new FileError(`cannot write the pidfile ${this.#at}: ${messageOf(error)}`, { cause: error });
        }
      }
      this.check();
      removeQuietly(this.#at);
    }
  }

  remove(): void {
    if (this.#written && this.#read(this.#at) === process.pid) removeQuietly(this.#at);
    this.#written = false;
  }

  /** The pid of a live master that holds the file; `null` where it is free or stale. */
  #holder(path: string): number | null {
    const pid = this.#read(path);
    return pid !== null && pid !== process.pid && isMaster(pid) ? pid : null;
  }

  #read(path: string): number | null {
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
      const start = Buffer.alloc(32);
      const text = start.toString('latin1', 0, readSync(fd, start, 0, 32, 0)).trim();
      const pid = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0;
      return pid > 1 ? pid : null;
    } finally {
      closeSync(fd);
    }
  }
}

function secondOf(path: string): string {
  return `${path}.2`;
}

/**
 * Whether a process is one of our masters. A pid alone proves nothing: it may have been used again since the file was
 * written.
 */
function isMaster(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(masterTitle(''));
  } catch {
    // No /proc here: a live process with the pid in our file is most likely ours, and must not be overwritten.
    return process.platform !== 'linux';
  }
}
