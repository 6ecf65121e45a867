/** What an app's module exports, and how each kind of it is served. */
import type { Server as HttpServer, RequestListener } from 'node:http';
import net, { type Server } from 'node:net';
import type { Address } from '../../config/address.ts';
import { ExportError } from './failure.ts';
import type { FetchApp } from './fetch.ts';

/** Something that can be served. */
export type Servable =
  | { readonly kind: 'handler'; readonly handler: RequestListener }
  | { readonly kind: 'koa'; readonly app: { callback(): RequestListener } }
  | { readonly kind: 'fetch'; readonly app: FetchApp }
  | { readonly kind: 'server'; readonly server: Server }
  | { readonly kind: 'fastify'; readonly app: { listen(options: object): unknown } }
  | { readonly kind: 'listenable'; readonly app: { listen(...args: unknown[]): unknown } }
  | { readonly kind: 'factory'; readonly make: () => unknown };

type Members = Readonly<Record<string, unknown>>;

/** Recognises what a value is; `null` if it cannot be served. */
export function classify(value: unknown): Servable | null {
  if (value instanceof net.Server) return { kind: 'server', server: value };
  if (!isMembers(value)) return null;
  if (isMethod(value.callback) && isMethod(value.use) && !isFunction(value)) {
    return { kind: 'koa', app: value as { callback: () => RequestListener } };
  }
  if (isMethod(value.inject) && isMethod(value.ready) && isMethod(value.listen)) {
    return { kind: 'fastify', app: value as { listen: (options: object) => unknown } };
  }
  if (isMethod(value.fetch)) return { kind: 'fetch', app: value as unknown as FetchApp };
  if (!isFunction(value)) {
    return isMethod(value.listen)
      ? { kind: 'listenable', app: value as { listen: (...args: unknown[]) => unknown } }
      : null;
  }
  if (isClass(value)) return null;
  const takesRequests = value.length >= 2 || isMethod(value.handle) || isMethod(value.listen);
  return takesRequests
    ? { kind: 'handler', handler: value as RequestListener }
    : { kind: 'factory', make: value as () => unknown };
}

/** What a factory made. */
export async function classifyProduct(factory: Extract<Servable, { kind: 'factory' }>): Promise<Servable | null> {
  const product: unknown = await factory.make();
  const servable = classify(product);
  // What a factory makes is meant to be served: a function of few parameters is a handler.
  if (servable?.kind === 'factory') return { kind: 'handler', handler: product as RequestListener };
  return servable;
}

/** The export that is served if none is named: `default`, else what the module exports as a whole. */
export function pickExport(exports: unknown): Servable | null {
  for (const candidate of candidates(exports)) {
    const servable = classify(candidate);
    if (servable !== null) return servable;
  }
  return null;
}

/** What a promise that is exported becomes; `null` if none is exported, or if it becomes nothing that can be served. */
export async function promisedExport(exports: unknown): Promise<Servable | null> {
  const promise = candidates(exports).find((candidate) => isMembers(candidate) && isMethod(candidate.then));
  return promise === undefined ? null : await classifyProduct({ kind: 'factory', make: () => promise });
}

/** An export by its name. */
export function namedExport(exports: unknown, name: string, path: string): unknown {
  for (const candidate of [exports, ...candidates(exports)]) {
    if (isMembers(candidate) && name in candidate) return candidate[name];
  }
  throw new ExportError(`${path} has no export named "${name}". ${listExports(exports)}`);
}

/** For messages: what there is. */
export function listExports(exports: unknown): string {
  const shown = [...membersOf(exports).keys()];
  return shown.length === 0 ? 'It exports nothing.' : `It exports: ${shown.join(', ')}.`;
}

/** As many names as are shown. */
const maxNames = 10;

/**
 * Says that an app cannot be served, what it exports, and which of that may be meant.
 *
 * @param given the app as it was given to prefork
 */
export function describeUnusable(exports: unknown, given: string): string {
  const members = membersOf(exports);
  const names = [...members.keys()].map((name) =>
    name === 'default' ? `default (${describeValue(members.get(name))})` : name,
  );
  const more = names.length > maxNames ? `, and ${names.length - maxNames} more` : '';
  const isEmpty = exports === undefined || describeValue(exports) === 'an object';
  const none = isEmpty ? 'it exports nothing' : `it exports ${describeValue(exports)}`;
  const list = names.length === 0 ? none : `it exports: ${names.slice(0, maxNames).join(', ')}${more}`;
  const meant = likeliest(members);
  const hint = meant === null ? '' : ` (prefork ${given}:${meant} ?)`;
  return `${given} neither listens nor exports something to serve; ${list}${hint}`;
}

/** @returns the name of the export that is most likely meant to be served; `null` if none is */
export function likeliestExport(exports: unknown): string | null {
  return likeliest(membersOf(exports));
}

/** The member that is most likely meant to be served: what is no mere function, or what is named as an app is. */
function likeliest(members: ReadonlyMap<string, unknown>): string | null {
  let named: string | null = null;
  for (const [name, value] of members) {
    if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name)) continue;
    const kind = classify(value)?.kind;
    if (kind === undefined) continue;
    if (kind !== 'factory') return name;
    if (/app|server|handler|listener/i.test(name)) named ??= name;
  }
  return named;
}

/** What a module exports, by name, of all the places where it may be. */
function membersOf(exports: unknown): ReadonlyMap<string, unknown> {
  const members = new Map<string, unknown>();
  for (const candidate of [exports, ...candidates(exports)]) {
    if (typeof candidate !== 'object' || candidate === null) continue;
    for (const name of Object.keys(candidate)) {
      if (name === '__esModule' || name === 'module.exports' || members.has(name)) continue;
      members.set(name, read(candidate as Members, name));
    }
  }
  return members;
}

/** An export may be a getter that throws, for it is not there yet or no more. */
function read(from: Members, name: string): unknown {
  try {
    return from[name];
  } catch {
    return undefined;
  }
}

/** For messages. */
export function describeValue(value: unknown): string {
  if (typeof value === 'function') return isClass(value) ? 'a class' : 'a function';
  if (value === null || value === undefined) return String(value);
  if (isMembers(value)) return isMethod(value.then) ? 'a promise' : 'an object';
  return `a ${typeof value}`;
}

function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Serves an export; returns the server that was made for it, if one was needed. */
export async function serve(
  servable: Exclude<Servable, { kind: 'factory' }>,
  address: Address,
): Promise<Server | null> {
  switch (servable.kind) {
    case 'server':
      if (!servable.server.listening) servable.server.listen(listenOptions(address));
      return null;
    case 'fastify':
      await servable.app.listen(listenOptions(address));
      return null;
    case 'listenable':
      await (address.kind === 'tcp'
        ? servable.app.listen(address.port, address.host)
        : servable.app.listen(address.kind === 'unix' ? address.path : { fd: address.fd }));
      return null;
    default:
      return (await createServer(servable)).listen(listenOptions(address));
  }
}

async function createServer(servable: Extract<Servable, { kind: 'handler' | 'koa' | 'fetch' }>): Promise<HttpServer> {
  const http = process.getBuiltinModule('node:http');
  switch (servable.kind) {
    case 'handler':
      return http.createServer(servable.handler);
    case 'koa':
      return http.createServer(servable.app.callback());
    case 'fetch': {
      const { fetchHandler } = await import('./fetch.ts');
      return http.createServer(fetchHandler(servable.app));
    }
  }
}

function listenOptions(address: Address): { host: string; port: number } | { path: string } | { fd: number } {
  switch (address.kind) {
    case 'tcp':
      return { host: address.host, port: address.port };
    case 'unix':
      return { path: address.path };
    case 'fd':
      return { fd: address.fd };
  }
}

/** TypeScript compiled to CommonJS has its default export one level down, and two when it is then imported. */
function candidates(exports: unknown): unknown[] {
  const found: unknown[] = [];
  if (isMembers(exports) && 'default' in exports) {
    const inner = exports.default;
    if (isMembers(inner) && 'default' in inner) found.push(inner.default);
    found.push(inner);
  }
  // A module namespace is not itself an export.
  if (!isNamespace(exports)) found.push(exports);
  return found;
}

function isNamespace(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Module]';
}

function isMembers(value: unknown): value is Members {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isFunction(value: Members): value is Members & ((...args: unknown[]) => unknown) {
  return typeof value === 'function';
}

function isMethod(value: unknown): boolean {
  return typeof value === 'function';
}
