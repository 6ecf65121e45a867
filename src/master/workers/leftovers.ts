/**
 * Pipes of workers that are gone, held open by what these have forked: what such processes print is still told. But each
 * costs a descriptor of the master, and they may live for ever: of many the oldest is closed.
 */
import type { Readable } from 'node:stream';

/** Streams that are kept. */
export const maxLeftovers = 16;
/**
 * Milliseconds in which the rest of what a worker has printed is read. At the pace of the log that is far more than a pipe
 * holds, but for empty lines.
 */
export const restWithin = 10_000;

export class Leftovers {
  /** Oldest first. */
  readonly #streams = new Set<Readable>();

  /** The worker is gone. */
  add(stream: Readable | null): void {
    if (stream === null || stream.closed) return;
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    const timer = setTimeout(() => {
      // Paused: there is more than the log takes.
      if (stream.isPaused()) stream.destroy();
    }, restWithin);
    timer.unref();
    stream.once('close', () => clearTimeout(timer));
    for (const oldest of this.#streams) {
      if (this.#streams.size <= maxLeftovers) return;
      this.#streams.delete(oldest);
      oldest.destroy();
    }
  }
}
