/** The JavaScript stack of this process as it is now. */
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ownWork } from '../protocol/messages.ts';
import { SourceMaps } from './source-maps.ts';

export interface Stack {
  /** One line per frame, innermost first, as in an Error's stack. */
  readonly frames: readonly string[];
  /** Prefork's own code ran: the app does not block the event loop. */
  readonly isOwn: boolean;
}

const maxFrames = 30;
/** Deeper ones are looked at, but not told. */
const maxDepth = 200;

/** @param above the function whose frame, and those above it, are left out */
export function takeStack(above: (...args: never[]) => unknown): Stack {
  const sites = callSites(above);
  const told = sites.slice(0, maxFrames);
  // Node's frames and prefork's below the app's say nothing about the app.
  const own = ourselves();
  while (told.length > 1 && isForeign(told.at(-1), own)) told.pop();
  const maps = new SourceMaps();
  const frames = told.map((site) => describe(site, maps));
  return { frames, isOwn: isOwnWork(sites) };
}

/** Where prefork's own code is: the folder above this one, whether this is a file of its own or a part of the bundle. */
export function ourselves(): readonly string[] {
  const folder = `${dirname(import.meta.dirname)}/`;
  return [pathToFileURL(folder).href, folder];
}

function isForeign(site: NodeJS.CallSite | undefined, own: readonly string[]): boolean {
  const file = site?.getFileName() ?? '';
  return file.startsWith('node:') || own.some((place) => file.startsWith(place));
}

/** Error's own settings are the app's: they are as before when this returns. */
function callSites(above: (...args: never[]) => unknown): readonly NodeJS.CallSite[] {
  const names = ['prepareStackTrace', 'stackTraceLimit'] as const;
  const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(Error, name)] as const);
  const holder: { stack?: unknown } = {};
  try {
    const writable = { configurable: true, writable: true, enumerable: true };
    Object.defineProperty(Error, 'stackTraceLimit', { ...writable, value: maxDepth });
    Object.defineProperty(Error, 'prepareStackTrace', { ...writable, value: (_: Error, sites: unknown) => sites });
    Error.captureStackTrace(holder, above);
    return Array.isArray(holder.stack) ? holder.stack : [];
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(Error, name);
      else Object.defineProperty(Error, name, descriptor);
    }
  }
}

function describe(site: NodeJS.CallSite, maps: SourceMaps): string {
  const name = site.getFunctionName() ?? site.getMethodName() ?? '<anonymous>';
  const file = site.getFileName() ?? site.getScriptNameOrSourceURL();
  const place =
    file === null || file === undefined || file === ''
      ? '<anonymous>'
      : maps.place(file, site.getLineNumber() ?? 1, site.getColumnNumber() ?? 1);
  return `at ${site.isAsync() ? 'async ' : ''}${site.isConstructor() ? 'new ' : ''}${name} (${place})`;
}

/** By a marked function in the script of the innermost frame: what it calls elsewhere, such as a metric of the app, may be stuck. */
function isOwnWork(sites: readonly NodeJS.CallSite[]): boolean {
  const innermost = sites[0]?.getScriptNameOrSourceURL();
  return sites.some((site) => site.getFunctionName() === ownWork && site.getScriptNameOrSourceURL() === innermost);
}
