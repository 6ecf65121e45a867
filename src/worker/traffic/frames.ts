/** Where the frames of a WebSocket end, in what the app writes to it: only there a frame of prefork's may go. */
import type { Duplex } from 'node:stream';
import { onSocketWrite } from '../../system/node-internals.ts';
import { hidden } from './hidden.ts';

/** Characters of the answer's head at most; one that is longer is none. */
const maxHead = 65_536;

/** Follows the bytes of one direction: the head of the answer to the upgrade, then frames (RFC 6455, 5.2). */
export class FrameTracker {
  /** Of the answer; `null` until its head is complete. */
  status: number | null = null;
  /** Bytes seen. */
  seen = 0;
  /** Whether a close frame was among them: the WebSocket is about to end anyway. */
  isClosed = false;
  #state: 'head' | 'header' | 'payload' | 'other' = 'head';
  /** The end of the head so far, or the header of a frame so far. */
  #text = '';
  #header: number[] = [];
  #left = 0;
  readonly #hasFrames: boolean;

  /** @param hasFrames whether frames follow the head; without, only the answer's status is found */
  constructor(hasFrames = true) {
    this.#hasFrames = hasFrames;
  }

  /** Whether what was written so far ends with a frame, and the WebSocket is open. */
  get isBetweenFrames(): boolean {
    return this.#state === 'header' && this.#header.length === 0;
  }

  push(bytes: Uint8Array): void {
    this.seen += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === 'other') return;
      if (this.#state === 'payload') {
        const part = Math.min(this.#left, bytes.length - at);
        this.#left -= part;
        at += part;
        if (this.#left === 0) this.#state = 'header';
        continue;
      }
      const byte = bytes[at] ?? 0;
      at += 1;
      if (this.#state === 'head') this.#pushHead(byte);
      else this.#pushHeader(byte);
    }
  }

  #pushHead(byte: number): void {
    this.#text += String.fromCharCode(byte);
    if (!this.#text.endsWith('\r\n\r\n') && this.#text.length < maxHead) return;
    const [, status] = /^HTTP\/1\.[01] (\d{3})(?= |\r)/.exec(this.#text) ?? [];
    if (status !== undefined) this.status = Number(status);
    // Anything else refuses the upgrade.
    this.#state = this.status === 101 && this.#hasFrames ? 'header' : 'other';
    this.#text = '';
  }

  #pushHeader(byte: number): void {
    const header = this.#header;
    header.push(byte);
    const [first = 0, second = 0] = header;
    if (header.length < 2) return;
    const short = second & 0x7f;
    const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
    if (header.length < 2 + extended + (second >= 0x80 ? 4 : 0)) return;
    if ((first & 0x0f) === 8) this.isClosed = true;
    this.#left = extended === 0 ? short : header.slice(2, 2 + extended).reduce((sum, each) => sum * 256 + each, 0);
    this.#header = [];
    if (this.#left > 0) this.#state = 'payload';
  }
}

const trackers = hidden<FrameTracker>();
let isWatching = false;

/** Follows what is written to a socket from now on. */
export function trackFrames(socket: Duplex, hasFrames: boolean): FrameTracker {
  const tracker = new FrameTracker(hasFrames);
  trackers.put(socket, tracker);
  if (!isWatching) {
    isWatching = true;
    onSocketWrite(
      (written) => trackers.of(written) !== null,
      (written, bytes) => trackers.of(written)?.push(bytes),
    );
  }
  return tracker;
}
