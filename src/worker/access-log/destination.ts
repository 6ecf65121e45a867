/** Writes the lines by pino's own destination, which merges those that pile up. No failure of it stops the worker. */
import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import { messageOf } from '../../errors.ts';
import { openAnew, openLogFile } from '../../system/log-file.ts';
import { within } from '../../system/within.ts';

/** Bytes that wait for a slow disk or reader before lines are dropped. */
const maxBuffered = 4 * 1024 * 1024;
/** Lines are written when there are so many bytes of them, or when the oldest has waited this long, milliseconds. */
const batch = 8 * 1024;
const flushAfter = 50;
/** Bytes that a pipe takes in one piece, even if other processes write to it: PIPE_BUF of Linux, pipe(7). */
const pipeBuffer = 4_096;
/** Milliseconds that the exit waits for a reader that does not read. */
const lastMoment = 500;

/** The part of pino's destination (sonic-boom) that is used here. */
interface Stream {
  write(line: string): boolean;
  flush(done?: (error?: Error | null) => void): void;
  flushSync(): void;
  destroy(): void;
  on(event: 'error' | 'drop' | 'drain', listener: (what: unknown) => void): unknown;
}

interface Pino {
  destination(options: object): Stream;
}

export class Destination {
  readonly #target: string | number;
  /** It is a pipe or the like, which all workers share: only what is written in one piece stays together. */
  #isPipe = false;
  readonly #pino: Pino;
  #stream: Stream | null;
  /** Streams of files that were reopened, and still have lines to write. */
  readonly #left = new Set<Stream>();
  /** Streams whose last write failed. */
  readonly #failing = new WeakSet<Stream>();
  /** Lines that the stream has not been given yet. */
  #pending = '';
  #isDue = false;
  #retryUntil = Number.POSITIVE_INFINITY;
  /** Lines that were lost, and why, since the last report. */
  #lost = 0;
  #reason: string | null = null;

  /** @param target a path, or a descriptor that is open */
  constructor(target: string | number) {
    this.#target = target;
    // Loaded here: workers without an access log need no memory for it.
    this.#pino = createRequire(import.meta.filename)('pino') as Pino;
    // Before the exit handler that pino adds.
    process.on('exit', () => this.#end());
    this.#stream = this.#open();
  }

  write(line: string): void {
    if (this.#stream === null) {
      this.#lost += 1;
      return;
    }
    this.#pending += line;
    if (this.#pending.length >= batch) this.#writePending();
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => {
      this.#isDue = false;
      this.#writePending();
    }, flushAfter).unref();
  }

  /** Many lines at once: what the stream does for each costs more than the line. */
  #writePending(): void {
    if (this.#pending === '') return;
    const pending = this.#pending;
    this.#pending = '';
    if (this.#isPipe) for (const piece of piecesOf(pending)) this.#stream?.write(piece);
    else this.#stream?.write(pending);
  }

  /** @returns what went wrong since the last call, and how many lines it took */
  takeTrouble(): { readonly lines: number; readonly reason: string } | null {
    const lines = this.#lost;
    const reason = this.#reason;
    this.#lost = 0;
    this.#reason = null;
    return lines === 0 && reason === null
      ? null
      : { lines, reason: reason ?? 'its lines come faster than they can be written' };
  }

  /** Goes on in a new file of the same name: what was written before is in the old one, whole. */
  reopen(): void {
    if (typeof this.#target === 'number') return;
    this.#writePending();
    const old = this.#stream;
    const next = this.#open();
    // Better the old file than none.
    if (next === null && old !== null) return;
    this.#stream = next;
    if (old === null) return;
    this.#left.add(old);
    old.flush(() => {
      old.destroy();
      this.#left.delete(old);
    });
  }

  /** @returns once what was written is with the kernel, or could not be for a while */
  async flush(): Promise<void> {
    this.#writePending();
    const all = [...this.#left, ...(this.#stream === null ? [] : [this.#stream])];
    const flushed = all.map((stream) => new Promise<void>((resolve) => stream.flush(() => resolve())));
    await within(Promise.all(flushed), lastMoment);
  }

  #open(): Stream | null {
    let dest: number;
    try {
      dest = typeof this.#target === 'number' ? openAnew(this.#target) : openLogFile(this.#target, 'access log');
    } catch (error) {
      this.#reason = messageOf(error);
      return null;
    }
    this.#isPipe = !isFile(dest);
    const stream = this.#pino.destination({
      dest,
      sync: false,
      minLength: 1,
      maxLength: maxBuffered,
      // Less than any two lines: pino joins none.
      ...(this.#isPipe ? { maxWrite: 2 } : {}),
      retryEAGAIN: () => performance.now() < this.#retryUntil,
    });
    // What could not be written waits, and is tried again with the next line.
    stream.on('error', (error) => {
      this.#reason = messageOf(error);
      this.#failing.add(stream);
    });
    stream.on('drain', () => this.#failing.delete(stream));
    stream.on('drop', (lines) => {
      this.#lost += String(lines).split('\n').length - 1;
    });
    return stream;
  }

  #end(): void {
    this.#retryUntil = performance.now() + lastMoment;
    this.#writePending();
    for (const stream of [...this.#left, ...(this.#stream === null ? [] : [this.#stream])]) {
      try {
        // On a full disk it would try for ever.
        if (!this.#failing.has(stream)) stream.flushSync();
      } catch {
        // EPIPE, EAGAIN: the line is lost, the exit is not.
      }
      // pino would flush it once more.
      stream.destroy();
    }
  }
}

/** @returns whole lines in pieces that a pipe takes at once; a line that is too long for that is one of its own */
export function piecesOf(lines: string): string[] {
  const pieces: string[] = [];
  let size = Number.POSITIVE_INFINITY;
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\n', at) + 1 || lines.length;
    const line = lines.slice(at, end);
    const bytes = Buffer.byteLength(line);
    if (size + bytes > pipeBuffer) {
      pieces.push(line);
      size = bytes;
    } else {
      pieces[pieces.length - 1] += line;
      size += bytes;
    }
    at = end;
  }
  return pieces;
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}
