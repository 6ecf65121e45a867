/**
 * The terminal: the alternate screen, no cursor, keys one by one. What was there before comes back at the end, unless it
 * is a SIGKILL.
 */
import type { ReadStream, WriteStream } from 'node:tty';
import { decodeKeys } from './keys.ts';

const csi = '\u001b[';
/** Alternate screen, no cursor, no wrapping at the right edge (xterm's private modes). */
const enter = `${csi}?1049h${csi}?25l${csi}?7l${csi}2J`;
const leave = `${csi}0m${csi}?7h${csi}?25h${csi}?1049l`;
/** Milliseconds after which an escape that nothing follows is the key. */
const escapeDelay = 50;

export interface TerminalEvents {
  readonly onKey: (key: string) => void;
  readonly onResize: () => void;
  /** The other end of the terminal is closed. */
  readonly onLost: () => void;
}

export class Terminal {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #events: TerminalEvents;
  #isOpen = false;
  #drawn: readonly string[] = [];
  #rest = '';
  #escape: NodeJS.Timeout | null = null;

  constructor(input: ReadStream, output: WriteStream, events: TerminalEvents) {
    this.#input = input;
    this.#output = output;
    this.#events = events;
  }

  get columns(): number {
    return sizeOr(this.#output.columns, 80);
  }

  get rows(): number {
    return sizeOr(this.#output.rows, 24);
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    // Also of a bug: the trace is written after it, on the screen that stays.
    process.on('exit', this.close);
    this.#input.on('data', this.#onData);
    this.#input.on('end', this.#events.onLost);
    this.#input.on('close', this.#events.onLost);
    this.#input.on('error', this.#events.onLost);
    this.#output.on('error', this.#events.onLost);
    this.#output.on('resize', this.#onResize);
    this.#input.setRawMode(true);
    this.#input.setEncoding('utf8');
    this.#input.resume();
    this.#output.write(enter);
    this.#drawn = [];
  }

  /** May be called at any time, more than once. */
  readonly close = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.close);
    this.#input.off('data', this.#onData);
    this.#input.off('end', this.#events.onLost);
    this.#input.off('close', this.#events.onLost);
    this.#output.off('resize', this.#onResize);
    // The listeners for errors stay: an error from now on concerns nothing.
    if (this.#escape !== null) clearTimeout(this.#escape);
    this.#escape = null;
    this.#rest = '';
    try {
      this.#output.write(leave);
    } catch {
      // It is gone.
    }
    try {
      this.#input.setRawMode(false);
      this.#input.pause();
    } catch {
      // It is gone.
    }
  };

  /** Only lines that changed are written: little enough for a slow line. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    let text = '';
    for (let row = 0; row < Math.max(lines.length, this.#drawn.length); row += 1) {
      const line = lines[row] ?? '';
      if (line !== this.#drawn[row]) text += `${csi}${row + 1};1H${csi}K${line}`;
    }
    this.#drawn = lines;
    if (text !== '') this.#output.write(text);
  }

  /** To be called if it is not known any more what is on the screen. */
  clear(): void {
    if (!this.#isOpen) return;
    this.#drawn = [];
    this.#output.write(`${csi}2J`);
  }

  readonly #onResize = (): void => {
    this.clear();
    this.#events.onResize();
  };

  readonly #onData = (chunk: string): void => {
    if (this.#escape !== null) clearTimeout(this.#escape);
    this.#escape = null;
    const { keys, rest } = decodeKeys(this.#rest + chunk);
    this.#rest = rest;
    if (rest !== '') this.#escape = setTimeout(() => this.#giveUpSequence(), escapeDelay);
    for (const key of keys) if (this.#isOpen) this.#events.onKey(key);
  };

  #giveUpSequence(): void {
    const isKey = this.#rest === '\u001b';
    this.#rest = '';
    if (isKey) this.#events.onKey('escape');
  }
}

/** A terminal that does not know its size says 0. */
function sizeOr(size: number | undefined, otherwise: number): number {
  return size === undefined || size < 1 ? otherwise : size;
}
