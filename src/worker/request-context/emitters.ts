/**
 * What a request emits belongs to it. Node calls the event listeners of a request's body, of its response and of an upgraded socket from
 * where the connection was accepted, where no request is known: whoever reads a body by its events would lose it.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hidden } from '../traffic/hidden.ts';

type Emit = (this: EventEmitter, ...args: unknown[]) => boolean;

/** Runs something as a part of what is given. */
export type RunIn<Context> = (context: Context, run: () => boolean) => boolean;

export class Emitters<Context extends object> {
  readonly #runIn: RunIn<Context>;
  readonly #contexts = hidden<Context>();
  /** What stands on prototypes, by prototype; `null` if it took the place of another one, and stays. */
  readonly #installed = new Map<object, Emit | null>();

  constructor(runIn: RunIn<Context>) {
    this.#runIn = runIn;
  }

  /** Everything that these emit from now on is a part of it. */
  bind(request: IncomingMessage, context: Context): void {
    const { IncomingMessage: Request, ServerResponse: Response } = process.getBuiltinModule('node:http');
    if (!this.#installed.has(Request.prototype)) {
      this.#install(Request.prototype, (emitter) => emitter);
      this.#install(Response.prototype, (emitter) => (emitter as ServerResponse).req);
    }
    this.#contexts.put(request, context);
  }

  /** The same of an HTTP/2 stream. */
  bindStream(stream: object, context: Context): void {
    const prototype = Object.getPrototypeOf(stream) as object;
    if (!this.#installed.has(prototype)) this.#install(prototype, (emitter) => emitter);
    this.#contexts.put(stream, context);
  }

  /** The same of a socket, whose prototype all others have as well. */
  bindSocket(socket: EventEmitter, context: Context): void {
    const emit = socket.emit as Emit;
    const runIn = this.#runIn;
    const bound: Emit = function (...args) {
      return runIn(context, () => Reflect.apply(emit, this, args));
    };
    Object.defineProperty(socket, 'emit', { value: bound, writable: true, configurable: true });
  }

  /** Takes away what stands on prototypes, unless somebody has put something on top of it. */
  release(): void {
    for (const [prototype, bound] of this.#installed)
      if (bound !== null && Reflect.get(prototype, 'emit') === bound) Reflect.deleteProperty(prototype, 'emit');
    this.#installed.clear();
  }

  #install(prototype: object, ownerOf: (emitter: EventEmitter) => object): void {
    const isFirst = !Object.hasOwn(prototype, 'emit');
    const emit = Reflect.get(prototype, 'emit') as Emit;
    const contexts = this.#contexts;
    const runIn = this.#runIn;
    const bound: Emit = function (...args) {
      const context = contexts.of(ownerOf(this));
      return context === null ? Reflect.apply(emit, this, args) : runIn(context, () => Reflect.apply(emit, this, args));
    };
    Object.defineProperty(bound, 'name', { value: 'emit' });
    Object.defineProperty(prototype, 'emit', { value: bound, writable: true, configurable: true, enumerable: false });
    this.#installed.set(prototype, isFirst ? bound : null);
  }
}
