/** What a package.json of the app says. It may say anything. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The fields that matter here; see https://nodejs.org/api/packages.html and npm's package.json(5). */
export interface Manifest {
  readonly main?: unknown;
  readonly scripts?: unknown;
  readonly type?: unknown;
  readonly version?: unknown;
}

/** @returns `null` if the folder has no package.json, or none that can be read */
export function manifestIn(folder: string): Manifest | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** Those of the file's folder and of the folders above it, the nearest first. */
export function* manifestsOf(file: string): Generator<Manifest, void> {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = manifestIn(folder);
    if (manifest !== null) yield manifest;
    if (folder === dirname(folder)) return;
  }
}

/** @returns what `npm start` runs; `null` if it is not said */
export function startScript(manifest: Manifest): string | null {
  const { start } = (manifest.scripts ?? {}) as { readonly start?: unknown };
  return typeof start === 'string' ? start : null;
}

/** @returns the files that a package may be started by, as it names them: what `npm start` gives to node or tsx, its main file */
export function entriesOf(manifest: Manifest): string[] {
  const started = /(?:^|\s)(?:node|tsx)\s+(?:-\S+\s+)*([^\s;&|-][^\s;&|]*)/.exec(startScript(manifest) ?? '')?.[1];
  return [started, manifest.main].flatMap((name) =>
    typeof name === 'string' && name !== '' ? [`./${name.replace(/^\.\//, '')}`] : [],
  );
}
