/**
 * Names the route of a request that has ended, as its framework knows it: a pattern such as `/users/:id`, never the URL.
 *
 * Express leaves it on the request. Fastify publishes its instances on a diagnostics channel, and a hook is added to each.
 * Koa's class is found in the module cache once the app listens.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { createRequire } from 'node:module';

type Request = IncomingMessage | Http2ServerRequest;

/** Names a route, or says that there is none to name. */
export type RouteLabel = (request: IncomingMessage) => unknown;

const maxLength = 200;
const routeKey = Symbol('prefork.route');
const contextKey = Symbol('prefork.context');

interface Marked {
  [routeKey]?: string;
  [contextKey]?: { readonly _matchedRoute?: unknown; readonly routerPath?: unknown };
  readonly route?: { readonly path?: unknown };
  readonly baseUrl?: unknown;
}

export class Routes {
  /** The config's own function; it comes first. */
  label: RouteLabel | null = null;
  #hasComplained = false;

  of(request: Request): string | null {
    const { label } = this;
    const own = label === null ? null : this.#ask(label, request as IncomingMessage);
    return own ?? routeOf(request);
  }

  /** Goes by what the app has loaded: to be called when it listens. */
  findFrameworks(): void {
    // The cache is one for all; the path from which it is looked at is of no interest.
    for (const [path, module] of Object.entries(createRequire('/').cache)) {
      if (/[/\\]node_modules[/\\]koa[/\\]lib[/\\]application\.js$/.test(path)) watchKoa(module?.exports);
    }
  }

  #ask(label: RouteLabel, request: IncomingMessage): string | null {
    try {
      const route = label(request);
      return typeof route === 'string' && route !== '' ? route.slice(0, maxLength) : null;
    } catch (error) {
      if (!this.#hasComplained) console.error('prefork: routeLabel failed (said once):', error);
      this.#hasComplained = true;
      return null;
    }
  }
}

/** The route as the framework left it on a request that need not have ended; the config's own function is not asked. */
export function routeOf(asked: Request): string | null {
  const request = asked as Request & Marked;
  const { route } = request;
  if (route !== undefined && route !== null) {
    const path = stringOf(route.path);
    if (path === null) return null;
    const base = typeof request.baseUrl === 'string' ? patternOf(request.baseUrl) : '';
    return `${base}${path === '/' && base !== '' ? '' : path}`.slice(0, maxLength);
  }
  return request[routeKey] ?? stringOf(request[contextKey]?._matchedRoute);
}

/**
 * Below a mounted router Express gives the URL and not the pattern: what looks like a value is one. It need not be
 * right each time, for there is a limit to the number of routes as well.
 */
function patternOf(base: string): string {
  return base
    .split('/')
    .map((part) => (/^v\d+$/.test(part) || !/\d|%|@|.{25}/.test(part) ? part : ':id'))
    .join('/');
}

/** A path may be a string, a regular expression, or several of them. */
function stringOf(path: unknown): string | null {
  if (typeof path === 'string') return path.slice(0, maxLength);
  if (path instanceof RegExp) return String(path).slice(0, maxLength);
  return Array.isArray(path) ? path.map(stringOf).join(',').slice(0, maxLength) : null;
}

interface FastifyRequest {
  readonly raw: Marked;
  readonly routeOptions?: { readonly url?: unknown };
  readonly routerPath?: unknown;
}

/** To be called before the app is loaded. */
export function watchFastify(): void {
  // https://fastify.dev/docs/latest/Reference/Hooks/#diagnostics-channel-hooks
  subscribe('fastify.initialization', (message) => {
    const { fastify } = message as {
      readonly fastify?: { addHook?(name: string, hook: (...args: never[]) => void): void };
    };
    fastify?.addHook?.('onRequest', (request: FastifyRequest, _reply: unknown, done: () => void) => {
      const url = request.routeOptions?.url;
      if (typeof url === 'string') request.raw[routeKey] = url.slice(0, maxLength);
      done();
    });
  });
}

const watched = new WeakSet<object>();

/** Nothing leads from a request to Koa's context: its class is made to leave each context on its request. */
function watchKoa(exports: unknown): void {
  const found = typeof exports === 'function' ? exports : (exports as { default?: unknown } | undefined)?.default;
  const prototype = (found as { prototype?: { createContext?: unknown } } | undefined)?.prototype;
  const original = prototype?.createContext;
  if (prototype === undefined || typeof original !== 'function' || watched.has(prototype)) return;
  watched.add(prototype);
  prototype.createContext = function createContext(this: unknown, request: Marked, ...rest: unknown[]): unknown {
    const context: unknown = Reflect.apply(original, this, [request, ...rest]);
    request[contextKey] = context as NonNullable<Marked[typeof contextKey]>;
    return context;
  };
}
