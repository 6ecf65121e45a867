/** How the module that imports the app passes its exports to the agent: with some loaders each has its own copy of this file. */

import Module from 'node:module';

/** Takes the promise of the app's exports. */
export type Host = (exports: Promise<object>) => void;

/**
 * Gives CommonJS a main module if the real one is not the app's: `require.main.filename` is widely used, and
 * `require.main === module` is false all the same.
 */
export function standInForMain(path: string): void {
  const main = new Module(path);
  main.filename = path;
  main.loaded = true;
  process.mainModule = main;
}

const key = Symbol.for('prefork.host');

/** Leaves a host for {@link takeHost} to find. */
export function leaveHost(host: Host): void {
  Object.defineProperty(globalThis, key, { value: host, configurable: true, enumerable: false });
}

/** Finds the host, and leaves nothing behind. */
export function takeHost(): Host {
  const host: unknown = Reflect.get(globalThis, key);
  Reflect.deleteProperty(globalThis, key);
  if (typeof host !== 'function') throw new Error('this file is started by prefork, and cannot be started by hand');
  return host as Host;
}
