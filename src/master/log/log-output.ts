/** Where the log goes: stderr, or a file that can be reopened. Nothing that happens to it stops the service. */
import { fstatSync } from 'node:fs';
import pino from 'pino';
import { messageOf } from '../../errors.ts';
import { openAnew, openLogFile } from '../../system/log-file.ts';
import { monotonic } from '../../system/monotonic.ts';
import { escapeText } from '../../system/plain.ts';
import { within } from '../../system/within.ts';

const stderr = 2;
/** Bytes that wait for a slow reader; beyond them lines are dropped. */
const maxBuffered = 4 * 1024 * 1024;
/** Milliseconds that the last lines have to be written at the end. */
const flushDeadline = 1_000;
/** Milliseconds between two complaints about the log, which go to stderr. */
const complainEvery = 60_000;

type Destination = ReturnType<typeof pino.destination>;

export class LogOutput {
  #path: string | null;
  #destination: Destination;
  /** Files that were left, and to which earlier lines are still being written. */
  readonly #leaving = new Set<Promise<void>>();
  /** Called when the log can be written again, with the number of lines that were lost until then. */
  onRecovered: ((lost: number) => void) | null = null;
  #lost = 0;
  /** Lines that were lost when it failed; `null` while it does not. */
  #failing: { readonly lost: number } | null = null;
  #complainedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param path of a file; `null` is stderr
   * @throws FileError if the file cannot be opened
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
   * Goes on in a new file of the same path, or of another one: the lines so far are in the old file, whole.
   *
   * @throws FileError if it cannot be opened; the log stays in the old file then
   */
  reopen(path = this.#path): void {
    if (path === null && this.#path === null) return;
    const old = this.#destination;
    this.#destination = this.#open(path);
    this.#path = path;
    const left = flushed(old).then(() => {
      old.destroy();
      this.#leaving.delete(left);
    });
    this.#leaving.add(left);
  }

  #open(path: string | null): Destination {
    // minLength 1: with 0, flush() does not wait. Asynchronous: a slow disk blocks a thread of the pool, not the master.
    const dest = path === null ? openStderr() : openLogFile(path);
    const destination = pino.destination({ dest, sync: false, minLength: 1, maxLength: maxBuffered });
    // EPIPE, ENOSPC, EIO: lines wait and are written with the next ones, or are lost in the end. The service goes on.
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

  /** Not to the log, which cannot be written. */
  #complain(path: string, error: unknown): void {
    const now = monotonic();
    if (now - this.#complainedAt < complainEvery) return;
    this.#complainedAt = now;
    console.error(escapeText(`prefork: the log ${path} cannot be written: ${messageOf(error)}; the service goes on`));
  }

  /** Waits a moment for the last lines to be written, and ends the log; a reader that does not read is not waited for. */
  async end(): Promise<void> {
    const destination = this.#destination;
    await within(Promise.all([flushed(destination), ...this.#leaving]), flushDeadline);
    // At the exit of the process pino writes what is left, and if it cannot, it tries for ever.
    destination.destroy();
  }
}

function flushed(destination: Destination): Promise<void> {
  return new Promise((resolve) => destination.flush(() => resolve()));
}

/** stderr, as a file description of its own: see {@link openAnew}. */
function openStderr(): number {
  try {
    // libuv makes a socket non-blocking when it opens it, and this is how it does.
    if (fstatSync(stderr).isSocket()) void process.stderr;
  } catch {
    // It is closed.
  }
  return openAnew(stderr);
}
