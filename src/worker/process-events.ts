/**
 * Stands before `process.emit`, so that some events never reach the app's listeners. The listeners themselves are left
 * alone: what the app adds, counts and removes is what it would be under plain node.
 */

/** @returns whether the event was taken */
export type Interceptor = (args: readonly unknown[]) => boolean;

export class EventFilter {
  readonly #interceptors = new Map<string | symbol, Interceptor[]>();

  constructor() {
    const emit = process.emit as (this: NodeJS.Process, name: string | symbol, ...args: unknown[]) => boolean;
    const interceptors = this.#interceptors;
    function filteredEmit(this: NodeJS.Process, name: string | symbol, ...args: unknown[]): boolean {
      for (const interceptor of interceptors.get(name) ?? []) if (interceptor(args)) return true;
      return Reflect.apply(emit, this, [name, ...args]);
    }
    Object.defineProperty(process, 'emit', {
      value: filteredEmit,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }

  /** The first one that takes an event is the last that sees it. */
  intercept(name: string, interceptor: Interceptor): void {
    const others = this.#interceptors.get(name) ?? [];
    this.#interceptors.set(name, [...others, interceptor]);
  }
}
