/**
 * Reads what one worker says, a line of JSON a message, in bounded memory and time. Workers are not trusted: the first
 * thing that is not as it should be ends the reading.
 */
import { isUtf8 } from 'node:buffer';
import { type Checked, checkWorkerMessage } from '../../protocol/check.ts';
import { longTypes, maxLine, maxLongLine, type WorkerMessage } from '../../protocol/messages.ts';
import { Pieces } from '../../system/pieces.ts';
import { weightOf } from '../../system/weight.ts';
import { Allowance } from './allowance.ts';

/** Messages a worker may send in a second, on average, and at once. */
const messageRate = 500;
const messageBurst = 2_000;
/** The same in bytes. Two long messages a second are usual if an app has very many metrics. */
const byteRate = 4 * 1024 * 1024;
const byteBurst = 12 * 1024 * 1024;
/** The same in reads: a long message may come byte by byte. */
const readRate = 2_000;
const readBurst = 8_000;

/** The same in values of what is parsed. The longest message of an app that has very many metrics has some 300 000. */
const weightRate = 400_000;
const weightBurst = 800_000;

/** How a message begins that may be long. */
const longStarts = longTypes.map((type) => Buffer.from(`{"type":"${type}",`));
const newline = 0x0a;

export interface SpeechObserver {
  onMessage(message: WorkerMessage): void;
  /** It breaks the protocol; told once, and nothing after it. */
  onOffence(reason: string): void;
}

export class Speech {
  readonly #observer: SpeechObserver;
  readonly #messages: Allowance;
  readonly #bytes: Allowance;
  readonly #reads: Allowance;
  readonly #weight: Allowance;
  /** What has arrived of a line whose end has not. */
  readonly #line = new Pieces();
  #isOver = false;

  /** @param now milliseconds, of a clock that never goes back */
  constructor(observer: SpeechObserver, now: number) {
    this.#observer = observer;
    this.#messages = new Allowance(messageRate, messageBurst, now);
    this.#bytes = new Allowance(byteRate, byteBurst, now);
    this.#reads = new Allowance(readRate, readBurst, now);
    this.#weight = new Allowance(weightRate, weightBurst, now);
  }

  /** Takes what has been read. */
  take(chunk: Buffer, now: number): void {
    if (this.#isOver) return;
    if (!this.#bytes.take(chunk.length, now) || !this.#reads.take(1, now)) this.#offend('it says too much');
    let start = 0;
    while (!this.#isOver) {
      const end = chunk.indexOf(newline, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      // A line that came in one piece, as most do, is not copied.
      const line = this.#line.length === 0 && end >= 0 ? part : this.#line.add(part);
      if (isTooLong(line)) this.#offend('a message that is too long');
      else if (end >= 0) this.#finish(line, now);
      if (end < 0) return;
      start = end + 1;
    }
  }

  /** Nothing counts any more. */
  stop(): void {
    this.#isOver = true;
    this.#line.clear(0);
  }

  #finish(line: Buffer, now: number): void {
    // What was needed for a long one is not kept.
    this.#line.clear(maxLine);
    if (!this.#messages.take(1, now)) {
      this.#offend('too many messages');
      return;
    }
    if (!this.#weight.take(weightOf(line), now)) {
      this.#offend('its messages are too complex');
      return;
    }
    const checked = parse(line);
    if (checked.kind === 'message') this.#observer.onMessage(checked.message);
    else this.#offend(checked.reason);
  }

  #offend(reason: string): void {
    this.stop();
    this.#observer.onOffence(reason);
  }
}

/** Whatever there is of it yet. */
function isTooLong(line: Buffer): boolean {
  if (line.length <= maxLine) return false;
  return line.length > maxLongLine || !longStarts.some((known) => line.subarray(0, known.length).equals(known));
}

function parse(line: Buffer): Checked {
  if (!isUtf8(line)) return { kind: 'malformed', reason: 'what it says is no text' };
  let raw: unknown;
  try {
    raw = JSON.parse(line.toString('utf8'));
  } catch {
    return { kind: 'malformed', reason: 'what it says is no JSON' };
  }
  return checkWorkerMessage(raw);
}
