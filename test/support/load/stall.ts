/** An event loop that stands still now and then, as that of a client with other work does. */

export interface Stall {
  /** Milliseconds from one to the next, drawn anew each time. */
  readonly every: readonly [least: number, most: number];
  /** Milliseconds it lasts. */
  readonly lasts: number;
}

/** Begins. It costs no processor time, only this process's. */
export function stallNowAndThen({ every: [least, most], lasts }: Stall): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const next = (): void => {
    setTimeout(
      () => {
        Atomics.wait(cell, 0, 0, lasts);
        next();
      },
      least + Math.random() * (most - least),
    ).unref();
  };
  next();
}
