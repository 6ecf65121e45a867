/** Reads what a worker prints, line by line: whatever its bytes are, each line is one, of bounded length, and text. */
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { escapeText } from '../../system/plain.ts';

/** Characters of a line; a longer one becomes several. */
const maxLine = 16 * 1024;

/**
 * @param onLine is told each line without its end, control characters escaped
 * @returns settles when the stream has ended and its last line was told
 */
export function readLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  // A character may be cut by the end of a chunk.
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const tell = (line: string): void => onLine(escapeText(line.replace(/\r$/, '')));
  const take = (text: string): void => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) split(line).forEach(tell);
    while (rest.length >= maxLine) {
      const end = endOfPiece(rest, 0);
      tell(rest.slice(0, end));
      rest = rest.slice(end);
    }
  };
  return new Promise((resolve) => {
    stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)));
    // Whatever happens to a pipe: the worker's exit tells the rest.
    stream.on('error', () => {});
    stream.on('close', () => {
      take(decoder.end());
      if (rest !== '') tell(rest);
      rest = '';
      resolve();
    });
  });
}

function split(line: string): string[] {
  const pieces: string[] = [];
  let at = 0;
  do {
    const end = endOfPiece(line, at);
    pieces.push(line.slice(at, end));
    at = end;
  } while (at < line.length);
  return pieces;
}

/** Not between the two halves of a character. */
function endOfPiece(line: string, at: number): number {
  const end = Math.min(line.length, at + maxLine);
  const isHalf = end < line.length && /[\ud800-\udbff]/.test(line.charAt(end - 1));
  return isHalf ? end - 1 : end;
}
