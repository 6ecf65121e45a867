/** How far it is, on stderr: a line that is written over on a terminal, and elsewhere a new one now and then. */

/** Milliseconds between two lines. */
const every = { terminal: 200, elsewhere: 5_000 } as const;

export class Progress {
  readonly #isTerminal = process.stderr.isTTY;
  #saidAt = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #isLineOpen = false;

  /** A line that stays. */
  say(text: string): void {
    this.#clear();
    console.error(text);
  }

  /** What is so at the moment; most of it is not said. */
  show(text: string): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    const now = performance.now();
    if (now - this.#saidAt < (this.#isTerminal ? every.terminal : every.elsewhere)) return;
    this.#saidAt = now;
    if (!this.#isTerminal) {
      console.error(text);
      return;
    }
    this.#clear();
    process.stderr.write(text);
    this.#isLineOpen = true;
  }

  /** Counts the seconds of what takes so many milliseconds. */
  count(milliseconds: number): void {
    const beganAt = performance.now();
    this.#timer = setInterval(() => {
      const passed = performance.now() - beganAt;
      const timer = this.#timer;
      this.#timer = null;
      this.show(
        passed < milliseconds
          ? `${Math.floor(passed / 1_000)} of ${milliseconds / 1_000} s`
          : 'it is over; the worker writes it',
      );
      this.#timer = timer;
    }, every.terminal);
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#clear();
  }

  #clear(): void {
    // ECMA-48: erase the line.
    if (this.#isLineOpen) process.stderr.write('\r\u001b[K');
    this.#isLineOpen = false;
  }
}
