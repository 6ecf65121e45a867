/** One reader of server-sent events: what it is sent, and whether it keeps up. */
import type { ServerResponse } from 'node:http';
import { monotonic } from '../../system/monotonic.ts';

export interface SentEvent {
  readonly event: string;
  /** Sent as JSON. */
  readonly data: unknown;
  /** What the reader comes back with as Last-Event-ID. */
  readonly id?: string;
}

/** The bytes of an event, to be made once for all readers. */
export function frameOf({ event, data, id }: SentEvent): Buffer {
  // JSON has no line break in it, so that one data line does.
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

export class EventSink {
  readonly #response: ServerResponse;
  #behindSince: number | null = null;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.on('drain', () => {
      this.#behindSince = null;
    });
  }

  /** Whether the system has taken everything that was written; otherwise nothing more is to be written. */
  get keepsUp(): boolean {
    return this.#behindSince === null && !this.#response.destroyed;
  }

  /** Milliseconds for which the reader has not kept up. */
  get behind(): number {
    return this.#behindSince === null ? 0 : monotonic() - this.#behindSince;
  }

  write(frame: Buffer): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    if (!this.#response.write(frame)) this.#behindSince ??= monotonic();
  }

  /** @param then called when the reader reads again */
  onDrain(then: () => void): void {
    this.#response.on('drain', then);
  }

  onClose(then: () => void): void {
    this.#response.on('close', then);
  }

  /** Ends the stream; events that were written still arrive. */
  end(): void {
    this.#response.end();
  }

  /** Closes the connection of a reader that does not read; what waits for it is lost. */
  drop(): void {
    this.#response.destroy();
  }
}
