/** The worker's end of a tube: what an operator wants to see goes over it, and over nothing else that it might hold up. */
import net from 'node:net';
import type { Readable } from 'node:stream';
import { maxHeadText, type TubeHead } from '../../protocol/tube.ts';

export class Tube {
  readonly #socket = new net.Socket();
  /** Settles when it is closed: all was sent, or nobody wants it any more. */
  readonly closed: Promise<void>;

  /** Connects. What comes of it is seen at its end. */
  constructor(path: string, secret: string) {
    const socket = this.#socket;
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => resolve());
    });
    socket.connect(path);
    // The process does not live for it.
    socket.unref();
    // Nothing comes this way, but its end is seen.
    socket.resume();
    socket.write(`${secret}\n`);
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  /** There is nothing to send. */
  refuse(error: string): void {
    this.#head({ error: error.slice(0, maxHeadText) });
    this.#socket.end();
  }

  /** @param content is sent as fast as it is taken */
  send(content: Buffer | Readable, size: number, note: string | null): void {
    this.#head({ size, note });
    if (content instanceof Uint8Array) this.#socket.end(content);
    else if (this.isClosed) content.destroy();
    else {
      content.on('error', () => this.#socket.destroy());
      this.#socket.on('close', () => content.destroy());
      content.pipe(this.#socket);
    }
  }

  /** Nobody is to wait for the rest. */
  cut(): void {
    this.#socket.destroy();
  }

  #head(head: TubeHead): void {
    this.#socket.write(`${JSON.stringify(head)}\n`);
  }
}
