/** The pidfile: written atomically, never through a link, refused where a live master holds it, removed if still ours. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AlreadyRunningError, FileError, messageOf } from '../errors.ts';
import { masterTitle } from './title.ts';

export class Pidfile {
  readonly path: string;
  #written = false;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * @throws AlreadyRunningError where a live master holds it
   * @throws FileError where something that is not a pidfile is in the way
   */
  check(): void {
    const holder = this.#holder();
    if (holder !== null) {
      throw new AlreadyRunningError(
        `already running: ${this.path} is held by the master with pid ${holder}; stop that one first, or give this one a pidfile of its own (--pid)`,
      );
    }
  }

  /** Writes our pid. Throws as {@link check} does, and FileError where it cannot be written. */
  write(): void {
    this.#checkFolder();
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

  /** Where everybody can move files about, root's file can be replaced by anybody's. */
  #checkFolder(): void {
    if (process.geteuid?.() !== 0) return;
    const folder = dirname(this.path);
    const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o002) === 0 || (mode & 0o1000) !== 0) return;
    throw new FileError(
      `cannot write the pidfile ${this.path}: ${folder} is writable by everybody; as root choose another, or chmod +t it`,
    );
  }

  /** A link fails where the name is taken, so of two masters that start together one is refused. */
  #place(temporary: string): void {
    for (let attempt = 0; ; attempt += 1) {
      try {
        linkSync(temporary, this.path);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt >= 5) {
          throw new FileError(`cannot write the pidfile ${this.path}: ${messageOf(error)}`, { cause: error });
        }
      }
      this.check();
      removeQuietly(this.path);
    }
  }

  remove(): void {
    if (this.#written && this.#read() === process.pid) removeQuietly(this.path);
    this.#written = false;
  }

  /** The pid of a live master that holds the file; `null` where it is free or stale. */
  #holder(): number | null {
    const pid = this.#read();
    return pid !== null && pid !== process.pid && isMaster(pid) ? pid : null;
  }

  #read(): number | null {
    let fd: number;
    try {
      if (!lstatSync(this.path).isFile()) {
        throw new FileError(
          `the pidfile ${this.path} exists and is not a regular file; remove it or choose another path`,
        );
      }
      fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      if (error instanceof FileError) throw error;
      throw new FileError(`cannot read the pidfile ${this.path}: ${messageOf(error)}`, { cause: error });
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

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already.
  }
}
