/**
 * What the files of a release are at a moment, as far as a worker may load them at its boot: code, templates and what says
 * which packages there are. Only names, times and sizes are looked at, and only so many.
 */
import { type Dirent, readdirSync, type Stats, stat, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { manifestIn } from '../../system/manifest.ts';
import { monotonic } from '../../system/monotonic.ts';

/** Path relative to the release's folder, and what tells one content from another. */
export type Snapshot = ReadonlyMap<string, string>;

/** Code, native addons and templates. Data that the app itself may write is none of it, nor is a schema that it generates. */
const loaded = /\.(?:[cm]?[jt]sx?|node|wasm|vue|svelte|ejs|hbs|pug|njk|mustache|liquid)$|^\.env(?:\.|$)/;
/** Of data, what says how the app is put together. */
const manifests = new Set(['package.json', 'package-lock.json', 'npm-shrinkwrap.json', 'tsconfig.json']);
const configFolder = /(?:^|\/)configs?$/;
const configuration = /\.(?:json5?|ya?ml|toml|properties)$/;
/** What npm, pnpm and Yarn write at each install: the packages themselves are too many to look at. */
const installed = ['.package-lock.json', '.modules.yaml', '.yarn-integrity', '.yarn-state.yml'];
const packages = 'node_modules';
/** Not code, and often large. */
const skipped = new Set([packages, 'bower_components', 'coverage', 'log', 'logs', 'tmp', 'temp', 'uploads']);

const maxFiles = 2_000;
/** Names of all kinds. */
const maxNames = 20_000;
const maxDepth = 12;
/** Milliseconds for which files are looked at without letting the master do anything else. */
const turn = 2;

/** The folder of a release: that of the nearest package.json that is a package's, else the app's own. */
export function folderOf(app: string): string {
  const own = dirname(app);
  for (let folder = own; ; folder = dirname(folder)) {
    const { version, scripts } = manifestIn(folder) ?? {};
    // One that a build puts beside its output says no more than which kind of modules it is.
    if (version !== undefined || scripts !== undefined) return folder;
    if (folder === dirname(folder)) return own;
  }
}

/**
 * Looks at the files of a release: the app's folder first, then the rest of the release, the nearest first. What cannot be
 * read is as if it were not there.
 *
 * @param app real path of the app's file
 */
export async function snapshotOf(app: string, folder = folderOf(app)): Promise<Snapshot> {
  const found = new Map<string, string>();
  const turns = new Turns();
  const add = (path: string): void => {
    const stats = statOf(path);
    if (stats?.isFile() === true) found.set(relative(folder, path), signature(stats));
  };
  await turns.next(app);
  add(app);
  for (const name of installed) add(join(folder, packages, name));
  const queue = [...new Set([dirname(app), folder])].map((path) => ({ path, depth: 0 }));
  const seen = new Set<string>();
  let names = 0;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { path, depth } = next;
    if (seen.has(path)) continue;
    seen.add(path);
    if (turns.isOver) await turns.next(path);
    for (const entry of entriesOf(path)) {
      names += 1;
      if (names > maxNames || found.size >= maxFiles) return found;
      if (entry.isDirectory()) {
        const isSkipped = skipped.has(entry.name) || entry.name.startsWith('.');
        if (!isSkipped && depth < maxDepth) queue.push({ path: join(path, entry.name), depth: depth + 1 });
      } else if (isLoaded(path, entry.name)) {
        if (turns.isOver) await turns.next(path);
        add(join(path, entry.name));
      }
    }
  }
  return found;
}

/** A file that is not what it was. */
export interface Changed {
  /** What tells its content from others now. */
  readonly now: string;
  /** When it changed, milliseconds since 1970; 0 if that is not known. */
  readonly at: number;
}

/** Looks again at the files that were there. @returns those that are gone or not the same, by their path */
export async function changedSince(before: Snapshot, folder: string): Promise<ReadonlyMap<string, Changed>> {
  const changed = new Map<string, Changed>();
  const turns = new Turns();
  await turns.next(folder);
  for (const [path, was] of before) {
    if (turns.isOver) await turns.next(folder);
    const stats = statOf(join(folder, path));
    const now = stats === null ? 'gone' : signature(stats);
    // What copies a file may set its other times.
    if (now !== was) changed.set(path, { now, at: stats?.ctimeMs ?? 0 });
  }
  return changed;
}

function isLoaded(folder: string, name: string): boolean {
  if (loaded.test(name) || manifests.has(name)) return true;
  return configuration.test(name) && configFolder.test(folder);
}

/** A file that is put in the place of another has another inode, and one that is written to another time. */
function signature({ mtimeMs, size, ino }: Stats): string {
  return `${mtimeMs} ${size} ${ino}`;
}

/**
 * Files are looked at synchronously, which takes a twentieth of the processor time, and a turn at a time. Each turn begins with
 * one that is not: where a file system does not answer, that one waits, and not the master.
 */
class Turns {
  #until = 0;

  get isOver(): boolean {
    return monotonic() >= this.#until;
  }

  async next(path: string): Promise<void> {
    await new Promise<void>((resolve) => stat(path, () => resolve()));
    this.#until = monotonic() + turn;
  }
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

/** In the order of their names, so that of too many the same are looked at each time. */
function entriesOf(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}
