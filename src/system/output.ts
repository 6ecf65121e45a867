/**
 * Reads what a process prints that prefork has started, a worker or another, line by line: whatever its bytes are, each
 * line is one, of bounded length, and plain text. One that prints without pause waits; the master's time is not its own.
 */
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { monotonic } from './monotonic.ts';
import { escapeText } from './plain.ts';

/** Characters of a line; a longer one becomes several. */
const maxLine = 16 * 1024;
/** Lines, and characters, of one stream in a second; as many again at once. */
const linesPerSecond = 5_000;
const charactersPerSecond = 8 * 1024 * 1024;
/**
 * The same for all streams together, and at once: each line is one of the log, and some 40 microseconds of the master.
 * What one stream has in any case is beyond it: a worker that floods slows down no other's output for long.
 */
const ofAll = {
  linesPerSecond: 10_000,
  charactersPerSecond: 16 * 1024 * 1024,
  lines: 1_500,
  characters: 2 * 1024 * 1024,
};
const inAnyCase = { lines: 250, characters: 256 * 1024 };
/** Milliseconds until what has been read too fast is looked at again. */
const waitFor = 50;

/**
 * @param onLine is told each line without its end, control characters escaped, and whether its end was there: a long line
 *   comes in pieces, and the last one may have none
 * @returns settles when the stream has ended and its last line was told
 */
export function readLines(stream: Readable, onLine: (line: string, isEnded: boolean) => void): Promise<void> {
  // A character may be cut by the end of a chunk.
  const decoder = new StringDecoder('utf8');
  const pace = new Pace();
  let rest = '';
  let timer: NodeJS.Timeout | null = null;
  const tell = (line: string, isEnded: boolean): void => onLine(escapeText(line.replace(/\r$/, '')), isEnded);
  /** @returns whether all is told that can be */
  const work = (): boolean => {
    let at = 0;
    let isDone = true;
    for (let piece = nextPiece(rest, at); piece !== null; piece = nextPiece(rest, at)) {
      if (!pace.take(piece.text.length)) {
        isDone = false;
        break;
      }
      tell(piece.text, piece.isEnded);
      at = piece.next;
    }
    rest = rest.slice(at);
    return isDone;
  };
  const goOn = (): void => {
    timer = null;
    if (work()) stream.resume();
    else wait();
  };
  const wait = (): void => {
    stream.pause();
    timer ??= setTimeout(goOn, waitFor);
  };
  return new Promise((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      rest += decoder.write(chunk);
      if (timer !== null || !work()) wait();
    });
    // Whatever happens to a pipe: the process's exit tells the rest.
    stream.on('error', () => {});
    // A chunk may be of 65,536 lines: neither are these told at once.
    const finish = (): void => {
      if (!work()) {
        setTimeout(finish, waitFor);
        return;
      }
      if (rest !== '') tell(rest, false);
      rest = '';
      resolve();
    };
    stream.on('close', () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      rest += decoder.end();
      finish();
    });
  });
}

interface Piece {
  readonly text: string;
  readonly next: number;
  readonly isEnded: boolean;
}

/** A line, or as much of one as may be told at a time; `null` if its end is not known yet. */
function nextPiece(text: string, at: number): Piece | null {
  const end = text.indexOf('\n', at);
  const length = (end < 0 ? text.length : end) - at;
  if (length > maxLine || (end < 0 && length === maxLine)) {
    const next = endOfPiece(text, at);
    return { text: text.slice(at, next), next, isEnded: false };
  }
  return end < 0 ? null : { text: text.slice(at, end), next: end + 1, isEnded: true };
}

/** Not between the two halves of a character. */
function endOfPiece(line: string, at: number): number {
  const end = Math.min(line.length, at + maxLine);
  const isHalf = end < line.length && /[\ud800-\udbff]/.test(line.charAt(end - 1));
  return isHalf ? end - 1 : end;
}

/** How fast lines are taken: two token buckets. */
class Bucket {
  readonly #rate: { readonly lines: number; readonly characters: number };
  readonly #burst: { readonly lines: number; readonly characters: number };
  #lines: number;
  #characters: number;
  #at = monotonic();

  /** @param rate per second. @param burst at once */
  constructor(
    rate: { readonly lines: number; readonly characters: number },
    burst: { readonly lines: number; readonly characters: number },
  ) {
    this.#rate = rate;
    this.#burst = burst;
    this.#lines = burst.lines;
    this.#characters = burst.characters;
  }

  /** Whether there is room for a line of that length now. */
  has(length: number): boolean {
    if (this.#lines >= 1 && this.#characters >= length) return true;
    const now = monotonic();
    const seconds = (now - this.#at) / 1_000;
    this.#at = now;
    this.#lines = Math.min(this.#burst.lines, this.#lines + seconds * this.#rate.lines);
    this.#characters = Math.min(this.#burst.characters, this.#characters + seconds * this.#rate.characters);
    return this.#lines >= 1 && this.#characters >= length;
  }

  use(length: number): void {
    this.#lines -= 1;
    this.#characters -= length;
  }
}

const shared = new Bucket({ lines: ofAll.linesPerSecond, characters: ofAll.charactersPerSecond }, ofAll);

/** How fast lines of one stream are taken. */
class Pace {
  readonly #own = new Bucket(
    { lines: linesPerSecond, characters: charactersPerSecond },
    {
      lines: linesPerSecond,
      characters: charactersPerSecond,
    },
  );
  readonly #sure = new Bucket(inAnyCase, inAnyCase);

  /** @returns whether there is room for a line of that length now */
  take(length: number): boolean {
    if (!this.#own.has(length)) return false;
    const from = this.#sure.has(length) ? this.#sure : shared;
    if (!from.has(length)) return false;
    this.#own.use(length);
    from.use(length);
    return true;
  }
}
