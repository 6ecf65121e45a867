/**
 * When an address that the app's own `listen()` has opened is closed: after the last worker has closed it, as under plain
 * node. Then clients are refused, and another process can have it.
 *
 * What the workers serve once they are ready is kept for a moment longer: an app may close a server to listen anew, or to
 * end, and what waits in the queue would be lost before the same app, or its successor, is there again.
 */
import type { Listener, Listeners } from './listeners.ts';

/** Milliseconds until a served address is closed if the worker goes on with others; and if it has none left. */
const moment = 200;
const last = 2_000;

/** What remains of a worker that has closed an address. */
export type Remains = 'serves' | 'idle' | 'gone';

export interface UnusedOptions {
  readonly listeners: Listeners;
  /** Whether a worker accepts from it. */
  readonly isHeld: (key: string) => boolean;
  readonly onClosed: () => void;
}

export class Unused {
  readonly #options: UnusedOptions;
  /** What workers have listened on when they became ready. */
  readonly #served = new WeakSet<Listener>();

  constructor(options: UnusedOptions) {
    this.#options = options;
  }

  /** A worker is ready, and listens there. */
  serves(key: string): void {
    const listener = this.#options.listeners.get(key);
    if (listener !== undefined) this.#served.add(listener);
  }

  /** Whether the next workers will want it as well, as far as one can know. */
  isServed(key: string): boolean {
    const listener = this.#options.listeners.get(key);
    return listener !== undefined && this.#served.has(listener);
  }

  /**
   * The app of a worker has closed it.
   *
   * @param remains what that worker does by now
   */
  left(key: string, remains: () => Remains): void {
    const listener = this.#options.listeners.get(key);
    if (listener === undefined || !this.#isUnused(key, listener)) return;
    if (!this.#served.has(listener)) this.#close(key);
    else this.#after(moment, () => this.#look(key, listener, remains));
  }

  #look(key: string, listener: Listener, remains: () => Remains): void {
    if (!this.#isUnused(key, listener)) return;
    const state = remains();
    if (state === 'serves') this.#close(key);
    // One that neither serves nor ends has closed it for good.
    else if (state === 'idle')
      this.#after(last - moment, () => {
        if (this.#isUnused(key, listener) && remains() !== 'gone') this.#close(key);
      });
  }

  #isUnused(key: string, listener: Listener): boolean {
    const { isHeld, listeners } = this.#options;
    return listeners.get(key) === listener && !listeners.isConfigured(key) && !isHeld(key);
  }

  #close(key: string): void {
    this.#options.listeners.close(key);
    this.#options.onClosed();
  }

  #after(milliseconds: number, look: () => void): void {
    setTimeout(look, milliseconds).unref();
  }
}
