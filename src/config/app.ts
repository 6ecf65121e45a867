/** Finds the app's file as `require` would, and tells a path from `path:exportName`. */
import { readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { entriesOf, manifestIn } from '../system/manifest.ts';
import { closest } from './closest.ts';
import type { AppSpec } from './resolved.ts';
import { shorten } from './show.ts';

/** An app, or why it cannot be found. */
export type Found = { readonly app: AppSpec } | { readonly problem: string };

const extensions = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/**
 * @param given `./server.js`, `server`, a folder, or `./app.js:createApp`
 * @param folder that a relative path starts from
 * @param named the same folder as it was given, symlinks kept
 */
export function findApp(given: string, folder: string, named = folder): Found {
  const whole = findFile(resolve(folder, given));
  if (whole !== null) return { app: { given, path: whole, named: resolve(named, given), exportName: null } };
  // A path may have colons in it, so the last one counts, and only if what stands before it exists.
  const [, file, exportName] = /^(.+):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(given) ?? [];
  const path = file === undefined ? null : findFile(resolve(folder, file));
  if (file !== undefined && path !== null && exportName !== undefined)
    return { app: { given, path, named: resolve(named, file), exportName } };
  const missing = resolve(folder, file ?? given);
  const why = isFolder(missing)
    ? `which is a directory without an index file ${mainText(missing)}`
    : `which does not exist${hintFor(missing)}`;
  return { problem: `expected the file of the app, got ${shorten(missing, 300)}, ${why}` };
}

/** Says how to give an app, with the entry that the project's package.json names, if it does. */
export function noApp(folder: string): string {
  const entry = entriesOf(manifestIn(folder) ?? {}).find((path) => findFile(resolve(folder, path)) !== null);
  const example = entry === undefined ? './server.js' : shorten(entry);
  return `no app was given; name its file, as in: prefork ${example}`;
}

/** The file beside it that is spelled most like it. */
function hintFor(missing: string): string {
  let names: string[];
  try {
    names = readdirSync(dirname(missing)).filter((name) => extensions.includes(extname(name)));
  } catch {
    return '';
  }
  const bare = (name: string) => (extname(missing) === '' ? basename(name, extname(name)) : name);
  const meant = closest(basename(missing), names, bare);
  return meant === null ? '' : `; did you mean ${shorten(meant)}?`;
}

/** @returns the real path of the file that an app's name leads to now; `null` if there is none */
export function whereNow({ named }: AppSpec): string | null {
  return findFile(named);
}

function findFile(path: string): string | null {
  return (
    firstFile(withExtensions(path)) ??
    // What a package.json names is not looked up a second time, or two could point at each other.
    (isFolder(path) ? firstFile([...mainOf(path), ...withExtensions(join(path, 'index'))]) : null)
  );
}

function mainText(folder: string): string {
  const main = manifestIn(folder)?.main;
  return typeof main === 'string' && main !== '' && statOf(resolve(folder, main)) === null
    ? `and whose package.json names a "main" that does not exist, ${shorten(main)}`
    : 'and without "main" in a package.json';
}

function withExtensions(path: string): string[] {
  return [path, ...extensions.map((extension) => path + extension)];
}

function mainOf(folder: string): string[] {
  const main = manifestIn(folder)?.main;
  if (typeof main !== 'string' || main === '') return [];
  const path = resolve(folder, main);
  return [...withExtensions(path), ...withExtensions(join(path, 'index'))];
}

function firstFile(paths: readonly string[]): string | null {
  const found = paths.find((path) => statOf(path)?.isFile() === true);
  return found === undefined ? null : realpathSync(found);
}

function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() === true;
}

/** A path that is too long, runs through a file or is closed to us leads to no app either. */
function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}
