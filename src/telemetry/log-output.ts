/** Where the log goes: stderr, or a file that can be opened anew. Nothing that happens to it stops the service. */
import { constants, fstatSync, openSync } from 'node:fs';
import pino from 'pino';
import { FileError, messageOf } from '../errors.ts';

const stderr = 2;
/** Bytes that wait for a slow reader before lines are dropped. */
const maxBuffered = 4 * 1024 * 1024;
const flushDeadline = 1_000;

type Destination = ReturnType<typeof pino.destination>;

export class LogOutput {
  #path: string | null;
  #destination: Destination;

  /**
   * @param path of a file; `null` is stderr
   * @throws FileError where the file cannot be opened
   */
  constructor(path: string | null) {
    this.#path = path;
    this.#destination = open(path);
  }

  get isStderr(): boolean {
    return this.#path === null;
  }

  write(text: string): void {
    this.#destination.write(text);
  }

  /**
   * Goes on in a new file of that name, or of another: what was written before is in the old one, whole.
   *
   * @throws FileError where it cannot be opened; the old one is kept then
   */
  reopen(path = this.#path): void {
    if (path === null && this.#path === null) return;
    const old = this.#destination;
    this.#destination = open(path);
    this.#path = path;
    old.flush(() => old.destroy());
  }

  /** Gives what is still buffered a moment to be written, and ends; never hangs on a reader that does not read. */
  async end(): Promise<void> {
    const destination = this.#destination;
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, flushDeadline).unref());
    await Promise.race([new Promise<void>((resolve) => destination.flush(() => resolve())), deadline]);
    // pino writes what is left when the process exits, and tries for ever where it cannot.
    destination.destroy();
  }
}

function open(path: string | null): Destination {
  // minLength 1: with 0 it does not wait in flush(). Asynchronous: a slow disk blocks a thread of the pool, and not the master.
  const dest = path === null ? openStderr() : openFile(path);
  const destination = pino.destination({ dest, sync: false, minLength: 1, maxLength: maxBuffered });
  // EPIPE, ENOSPC, EIO: the line is lost, the service is not.
  destination.on('error', () => {});
  destination.on('drop', () => {});
  return destination;
}

/** Appended to, so that it may be truncated under us; never through a link, which in a shared directory may lead anywhere. */
function openFile(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o640);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ELOOP' ? 'it is a symbolic link, which a log is never written through' : messageOf(error);
    throw new FileError(`cannot open the log ${path}: ${reason}`, { cause: error });
  }
}

/**
 * A write to a pipe that nobody reads would block a thread of the pool for ever, and with it the exit of the process. The
 * pipe is opened anew: whether it blocks is then our own business, and not that of all who share it.
 */
function openStderr(): number {
  try {
    const stat = fstatSync(stderr);
    if (stat.isFIFO()) return openSync(`/proc/self/fd/${stderr}`, constants.O_WRONLY | constants.O_NONBLOCK);
    // libuv makes a socket non-blocking when it opens it, and this is how it does.
    if (stat.isSocket()) void process.stderr;
  } catch {
    // It is closed, or somebody else's: what is written there may be lost.
  }
  return stderr;
}
