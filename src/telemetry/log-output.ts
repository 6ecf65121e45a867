/** Where the log goes: stderr, or a file that can be opened anew. Nothing that happens to it stops the service. */
import { fstatSync } from 'node:fs';
import pino from 'pino';
import { openAnew, openLogFile } from '../ipc/log-file.ts';

const stderr = 2;
/** Bytes that wait for a slow reader before lines are dropped. */
const maxBuffered = 4 * 1024 * 1024;
const flushDeadline = 1_000;

type Destination = ReturnType<typeof pino.destination>;

export class LogOutput {
  #path: string | null;
  #destination: Destination;
  /** Of files that were left, and are still written to. */
  readonly #leaving = new Set<Promise<void>>();

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
    const left = new Promise<void>((resolve) => old.flush(() => resolve())).then(() => {
      old.destroy();
      this.#leaving.delete(left);
    });
    this.#leaving.add(left);
  }

  /** Gives what is still buffered a moment to be written, and ends; never hangs on a reader that does not read. */
  async end(): Promise<void> {
    const destination = this.#destination;
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, flushDeadline).unref());
    const flushed = new Promise<void>((resolve) => destination.flush(() => resolve()));
    await Promise.race([Promise.all([flushed, ...this.#leaving]), deadline]);
    // pino writes what is left when the process exits, and tries for ever where it cannot.
    destination.destroy();
  }
}

function open(path: string | null): Destination {
  // minLength 1: with 0 it does not wait in flush(). Asynchronous: a slow disk blocks a thread of the pool, and not the master.
  const dest = path === null ? openStderr() : openLogFile(path);
  const destination = pino.destination({ dest, sync: false, minLength: 1, maxLength: maxBuffered });
  // EPIPE, ENOSPC, EIO: the line is lost, the service is not.
  destination.on('error', () => {});
  destination.on('drop', () => {});
  return destination;
}

/** As {@link openAnew} does, for stderr. */
function openStderr(): number {
  try {
    // libuv makes a socket non-blocking when it opens it, and this is how it does.
    if (fstatSync(stderr).isSocket()) void process.stderr;
  } catch {
    // It is closed.
  }
  return openAnew(stderr);
}
