/**
 * Pipes of workers that are gone, held open by what these have forked: what such processes print is still told. But each
 * costs a descriptor of the master, and they may live for ever: of many the oldest is closed.
 */
import type { Readable } from 'node:stream';

/** Streams that are kept. */
export const maxLeftovers = 16;

export class Leftovers {
  /** Oldest first. */
  readonly #streams = new Set<Readable>();

  /** The worker is gone. */
  add(stream: Readable | null): void {
    if (stream === null || stream.closed) return;
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    for (const oldest of this.#streams) {
      if (this.#streams.size <= maxLeftovers) return;
      this.#streams.delete(oldest);
      oldest.destroy();
    }
  }
}
