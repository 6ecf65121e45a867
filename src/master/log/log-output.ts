/** Where the log goes: stderr, or a file that can be opened anew. Nothing that happens to it stops the service. */
import { fstatSync } from 'node:fs';
import pino from 'pino';
import { messageOf } from '../../errors.ts';
import { openAnew, openLogFile } from '../../system/log-file.ts';
import { within } from '../../system/within.ts';

const stderr = 2;
/** Bytes that wait for a slow reader before lines are dropped. */
const maxBuffered = 4 * 1024 * 1024;
const flushDeadline = 1_000;
/** Milliseconds between two complaints about it, which go elsewhere. */
const complainEvery = 60_000;

type Destination = ReturnType<typeof pino.destination>;

export class LogOutput {
  #path: string | null;
  #destination: Destination;
  /** Of files that were left, and are still written to. */
  readonly #leaving = new Set<Promise<void>>();
  /** Is told when it can be written again, and how many lines that came too late for. */
  onRecovered: ((lost: number) => void) | null = null;
  #lost = 0;
  /** Lines that were lost when it failed; `null` while it does not. */
  #failing: { readonly lost: number } | null = null;
  #complainedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param path of a file; `null` is stderr
   * @throws FileError where the file cannot be opened
   */
  constructor(path: string | null) {
    this.#path = path;
    this.#destination = this.#open(path);
  }

  /** Lines that were dropped, ever. */
  get lost(): number {
    return this.#lost;
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
    this.#destination = this.#open(path);
    this.#path = path;
    const left = new Promise<void>((resolve) => old.flush(() => resolve())).then(() => {
      old.destroy();
      this.#leaving.delete(left);
    });
    this.#leaving.add(left);
  }

  #open(path: string | null): Destination {
    // minLength 1: with 0 it does not wait in flush(). Asynchronous: a slow disk blocks a thread of the pool, and not the master.
    const dest = path === null ? openStderr() : openLogFile(path);
    const destination = pino.destination({ dest, sync: false, minLength: 1, maxLength: maxBuffered });
    // EPIPE, ENOSPC, EIO: lines wait, and are tried again with the next; then they are lost, and the service is not.
    destination.on('error', (error: unknown) => {
      this.#failing ??= { lost: this.#lost };
      if (path !== null) this.#complain(path, error);
    });
    destination.on('drop', () => {
      this.#lost += 1;
    });
    destination.on('drain', () => {
      if (this.#failing === null) return;
      const { lost } = this.#failing;
      this.#failing = null;
      this.onRecovered?.(this.#lost - lost);
    });
    return destination;
  }

  /** A log cannot tell of itself that it cannot be written. */
  #complain(path: string, error: unknown): void {
    const now = performance.now();
    if (now - this.#complainedAt < complainEvery) return;
    this.#complainedAt = now;
    console.error(`prefork: the log ${path} cannot be written: ${messageOf(error)}; the service goes on`);
  }

  /** Gives what is still buffered a moment to be written, and ends; never hangs on a reader that does not read. */
  async end(): Promise<void> {
    const destination = this.#destination;
    const flushed = new Promise<void>((resolve) => destination.flush(() => resolve()));
    await within(Promise.all([flushed, ...this.#leaving]), flushDeadline);
    // pino writes what is left when the process exits, and tries for ever where it cannot.
    destination.destroy();
  }
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
