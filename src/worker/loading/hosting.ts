/** How the module that imports the app hands it to the agent: loaders may give each of them its own copy of this file. */

import Module from 'node:module';

/** Takes the promise of the app's exports. */
export type Host = (exports: Promise<object>) => void;

/**
 * Gives CommonJS a main module where the real one is none of the app's: `require.main.filename` is widely used, and
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
  if (typeof host !== 'function') throw new Error('this file is started by prefork, not by hand');
  return host as Host;
}
