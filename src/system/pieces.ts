/** Joins the pieces in which something arrives, into a buffer that grows by doubling: it may come byte by byte. */

/** Bytes that are reserved at first. */
const firstCapacity = 4 * 1024;
const nothing = Buffer.alloc(0);

export class Pieces {
  #buffer = nothing;
  #length = 0;

  /** Bytes that have arrived. */
  get length(): number {
    return this.#length;
  }

  /** @returns all that has arrived, this at its end; valid until the next call */
  add(piece: Buffer): Buffer {
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length, firstCapacity));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    piece.copy(this.#buffer, this.#length);
    this.#length = length;
    return this.#buffer.subarray(0, length);
  }

  /** @param kept bytes; a buffer that is larger is given back */
  clear(kept: number): void {
    if (this.#buffer.length > kept) this.#buffer = nothing;
    this.#length = 0;
  }
}
