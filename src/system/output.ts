/**
 * Reads what a process prints that prefork has started, a worker or another, line by line: whatever its bytes are, each line is one, of bounded length, and plain text. One
 * that prints without pause waits; the master's time is not its own.
 */
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { escapeText } from './plain.ts';

/** Characters of a line; a longer one becomes several. */
const maxLine = 16 * 1024;
/** Lines, and characters, of one stream in a second; as many again at once. */
const linesPerSecond = 5_000;
const charactersPerSecond = 8 * 1024 * 1024;
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
  const work = (hurries: boolean): boolean => {
    let at = 0;
    let isDone = true;
    for (let piece = nextPiece(rest, at); piece !== null; piece = nextPiece(rest, at)) {
      if (!hurries && !pace.take(piece.text.length)) {
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
    if (work(false)) stream.resume();
    else wait();
  };
  const wait = (): void => {
    stream.pause();
    timer ??= setTimeout(goOn, waitFor);
  };
  return new Promise((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      rest += decoder.write(chunk);
      if (timer !== null || !work(false)) wait();
    });
    // Whatever happens to a pipe: the process's exit tells the rest.
    stream.on('error', () => {});
    stream.on('close', () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      rest += decoder.end();
      work(true);
      if (rest !== '') tell(rest, false);
      rest = '';
      resolve();
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

/** How fast lines are taken. */
class Pace {
  #lines = linesPerSecond;
  #characters = charactersPerSecond;
  #at = performance.now();

  /** @returns whether there is room for a line of that length now */
  take(length: number): boolean {
    if (this.#lines < 1 || this.#characters < length) {
      const now = performance.now();
      const seconds = (now - this.#at) / 1_000;
      this.#at = now;
      this.#lines = Math.min(linesPerSecond, this.#lines + seconds * linesPerSecond);
      this.#characters = Math.min(charactersPerSecond, this.#characters + seconds * charactersPerSecond);
      if (this.#lines < 1 || this.#characters < length) return false;
    }
    this.#lines -= 1;
    this.#characters -= length;
    return true;
  }
}
