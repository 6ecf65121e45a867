/**
 * Which request the app's code serves, wherever it is asked: for `requestId()` and `traceId()`.
 *
 * Node can know that (AsyncLocalStorage), so it is on only where it may be used: from when an app has loaded prefork's API.
 * It may ask, or use another part of it: nothing in JavaScript tells which. Before Node 24 it costs something with every
 * promise, so there it is on for a number of requests, and stays on once it is asked. An app that asks for the first time
 * after that gets `null` for the requests that have begun, and is answered from the next one on.
 */
import type { AsyncLocalStorage } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { CurrentRequest } from '../../app/registry.ts';
import { followsByHooks } from '../../system/node-internals.ts';
import { requestIdIn } from '../access-log/request-id.ts';
import { surroundRequests } from '../traffic/emits.ts';
import { parseTraceparent } from '../traffic/traceparent.ts';
import { Emitters } from './emitters.ts';

/** Requests after which an app is taken not to ask. */
const trial = 1_000;

/** A request being served. Nothing is found out before it is asked for. */
interface Served {
  /** What has its headers: a request, or for an HTTP/2 stream an object of them. */
  readonly source: { readonly headers: Record<string, unknown> };
  id: string | null;
}

export class RequestContext implements CurrentRequest {
  readonly #emitters = new Emitters<Served>((served, run) => this.#runIn(served, run));
  #storage: AsyncLocalStorage<Served> | null = null;
  #wasAsked = false;
  #begun = 0;
  #isCostly = false;

  expect(): void {
    if (this.#storage !== null || this.#begun > 0) return;
    this.#turnOn();
  }

  id(): string | null {
    const served = this.#served();
    if (served === null) return null;
    served.id ??= requestIdIn(served.source.headers);
    return served.id;
  }

  traceId(): string | null {
    const served = this.#served();
    return served === null ? null : (parseTraceparent(served.source.headers.traceparent)?.traceId ?? null);
  }

  #served(): Served | null {
    this.#wasAsked = true;
    if (this.#storage === null) this.#turnOn();
    return this.#storage?.getStore() ?? null;
  }

  #turnOn(): void {
    const { AsyncLocalStorage: Storage } = process.getBuiltinModule('node:async_hooks');
    this.#storage = new Storage();
    this.#isCostly = followsByHooks(this.#storage);
    surroundRequests((args, emit) => this.#surround(args, emit));
  }

  #turnOff(): void {
    surroundRequests(null);
    this.#emitters.release();
    this.#storage?.disable();
    this.#storage = null;
  }

  /** @param args the event's name and what it has: a request and a response, a stream and its headers, a request and a socket */
  #surround(args: ArrayLike<unknown>, emit: () => boolean): boolean {
    this.#begun += 1;
    if (this.#begun > trial && !this.#wasAsked && this.#isCostly) {
      this.#turnOff();
      return emit();
    }
    const { 0: name, 1: first, 2: second } = args;
    if (name === 'stream') {
      const served: Served = { source: { headers: second as Record<string, unknown> }, id: null };
      this.#emitters.bindStream(first as object, served);
      return this.#runIn(served, emit);
    }
    const request = first as IncomingMessage;
    // Of HTTP/2 it is emitted from inside 'stream', and is that request already.
    if (request.httpVersionMajor !== 1) return emit();
    const served: Served = { source: request, id: null };
    this.#emitters.bind(request, served);
    if (name === 'upgrade' || name === 'connect') this.#emitters.bindSocket(second as EventEmitter, served);
    return this.#runIn(served, emit);
  }

  #runIn(served: Served, run: () => boolean): boolean {
    const storage = this.#storage;
    return storage === null || storage.getStore() === served ? run() : storage.run(served, run);
  }
}
