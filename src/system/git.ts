/**
 * Which commit a folder has checked out, read from git's files: no program is run, for git may not be there, and may refuse
 * a folder of another user. See gitrepository-layout(5).
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Bytes of a file that holds one name. */
const maxName = 4_096;
/** Bytes of `packed-refs`: more than 100,000 branches and tags. */
const maxPacked = 16 * 2 ** 20;
/** A ref that names a ref, and so on; git itself follows as many. */
const maxSymbolic = 5;
/** Characters, as `git rev-parse --short` gives at least. */
const shortLength = 7;

/**
 * The commit of the nearest repository at or above the folder: a branch, a detached HEAD, refs that are packed, worktrees and
 * submodules. A file `REVISION`, which Capistrano leaves in a release, counts as well.
 *
 * @returns its short hash; `null` if there is no repository, or one that this cannot read
 */
export function commitOf(folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    const left = hashIn(join(at, 'REVISION'));
    if (left !== null) return left.slice(0, shortLength);
    const git = gitFolderOf(at);
    if (git !== null) return headOf(git)?.slice(0, shortLength) ?? null;
    if (at === dirname(at)) return null;
  }
}

/** `.git` itself, or where a file of that name leads to; `null` if this is no repository. */
function gitFolderOf(folder: string): string | null {
  const git = join(folder, '.git');
  if (textOf(join(git, 'HEAD'), maxName) !== null) return git;
  const [, path] = /^gitdir: (.+?)\s*$/.exec(textOf(git, maxName) ?? '') ?? [];
  return path === undefined ? null : resolve(folder, path);
}

function headOf(git: string): string | null {
  // Refs of branches are where the worktrees of a repository have them together.
  const shared = textOf(join(git, 'commondir'), maxName)?.trim();
  const common = shared === undefined || shared === '' ? git : resolve(git, shared);
  let name = 'HEAD';
  for (let step = 0; step < maxSymbolic; step += 1) {
    const own = textOf(join(git, name), maxName) ?? textOf(join(common, name), maxName);
    if (own === null) return packedIn(common, name);
    const hash = hashOf(own);
    if (hash !== null) return hash;
    const [, next] = /^ref: (refs\/[^\s]+)\s*$/.exec(own) ?? [];
    // It must not lead out of the repository.
    if (next === undefined || next.split('/').includes('..')) return null;
    name = next;
  }
  return null;
}

/** See git-pack-refs(1): a line is a hash, a space and a name. */
function packedIn(common: string, name: string): string | null {
  const packed = textOf(join(common, 'packed-refs'), maxPacked);
  const end = packed === null ? -1 : `\n${packed}\n`.indexOf(` ${name}\n`);
  if (packed === null || end < 0) return null;
  const before = `\n${packed}`.slice(0, end);
  return hashOf(before.slice(before.lastIndexOf('\n') + 1));
}

function hashIn(path: string): string | null {
  return hashOf(textOf(path, maxName) ?? '');
}

/** SHA-1 or SHA-256. */
function hashOf(text: string): string | null {
  return /^([0-9a-f]{40}|[0-9a-f]{64})\s*$/.exec(text)?.[1] ?? null;
}

/** @returns `null` if there is no such regular file, if it cannot be read, or if it is longer */
function textOf(path: string, max: number): string | null {
  let fd: number;
  try {
    // A pipe in its place must not keep us waiting.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size > max) return null;
    const bytes = Buffer.alloc(stats.size);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}
