/**
 * Sees what servers emit and which HTTP/2 streams end. One function stands on the prototype of all servers, and none on a server of
 * the app's, so the app sees nothing of it on its own objects, and servers are seen that nobody has named.
 */
import type { ServerHttp2Stream } from 'node:http2';
import net, { type Server } from 'node:net';
import { onStreamDestroyed } from '../../system/node-internals.ts';
import { hidden } from './hidden.ts';

/** Is asked about each event of a server. */
export interface EmitWatcher {
  /** @returns whether the app must not see the event */
  onEmit(server: Server, name: string | symbol, first: unknown, second: unknown): boolean;
}

/** Calls `emit` for an event that brings the app a request; `args` are its name and what it has. */
export type Surround = (args: ArrayLike<unknown>, emit: () => boolean) => boolean;

const bringsRequest = new Set<string | symbol>([
  ...['request', 'checkContinue', 'checkExpectation', 'stream', 'upgrade', 'connect'],
]);
let surround: Surround | null = null;

/** @param run what calls the app with each request from now on; `null` is nobody, and costs one comparison an event */
export function surroundRequests(run: Surround | null): void {
  surround = run;
}

const watchers = hidden<EmitWatcher>();
let watcherOfAll: EmitWatcher | null = null;
let isInstalled = false;

/** @param server is watched in any case; all others are by the watcher of all, if there is one */
export function watchServer(watcher: EmitWatcher, server: Server): void {
  install();
  watchers.put(server, watcher);
}

/** Watches every server of this process that has no watcher of its own. */
export function watchAllServers(watcher: EmitWatcher): void {
  install();
  watcherOfAll = watcher;
}

function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  const { prototype } = net.Server;
  const { emit } = prototype as { emit: (this: Server, name: string | symbol, ...args: unknown[]) => boolean };
  const watched = function (this: Server, name: string | symbol, first?: unknown, second?: unknown): boolean {
    const watcher = watchers.of(this) ?? watcherOfAll;
    if (watcher?.onEmit(this, name, first, second) === true) return true;
    // biome-ignore-start lint/complexity/noArguments: the fastest way to see how many there are, and to pass them on
    if (surround !== null && bringsRequest.has(name)) {
      const args = arguments as ArrayLike<unknown>;
      return surround(args, () => Reflect.apply(emit, this, args));
    }
    // The two of each connection and each request; a list of them would be made anew for each.
    if (arguments.length === 3) return emit.call(this, name, first, second);
    if (arguments.length === 2) return emit.call(this, name, first);
    return Reflect.apply(emit, this, arguments);
    // biome-ignore-end lint/complexity/noArguments: as above
  };
  Object.defineProperty(watched, 'name', { value: emit.name });
  Object.defineProperty(watched, 'length', { value: emit.length });
  Object.defineProperty(prototype, 'emit', { value: watched, writable: true, configurable: true, enumerable: false });
}

const ends = hidden<() => void>();
let seesStreams = false;

/** Calls back when a stream is destroyed: an event listener on it would be visible to the app, and could be removed. */
export function onStreamEnd(stream: ServerHttp2Stream, callback: () => void): void {
  ends.put(stream, callback);
  if (seesStreams) return;
  seesStreams = true;
  // With the first stream: node:http2 is not loaded for an app that does without.
  onStreamDestroyed(stream, (destroyed) => ends.of(destroyed)?.());
}
