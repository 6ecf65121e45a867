/** Folders that only one user can write to: what is in them can be trusted as much as that user. */
import { lchownSync, lstatSync, mkdirSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../errors.ts';

/** Rights of the group and of others to write. */
const foreignWrite = 0o022;
const sticky = 0o1000;
const root = 0;

/**
 * Makes a folder for a user, or finds it, and makes sure that nobody else can put anything into it or in its place.
 *
 * Nothing is followed and nothing is mended: a folder that belongs to somebody else, or that others can write to, is
 * refused. Root makes none where another user could put something else in its place meanwhile.
 *
 * @param folder an absolute path; its parents are there already
 * @param uid whose it is to be
 * @returns why it cannot be used, in one line; `null` if it can
 */
export function privateFolder(folder: string, uid: number): string | null {
  try {
    const parent = dirname(folder);
    const self = process.geteuid?.() ?? uid;
    if (!isKeptFrom(lstatSync(parent), [root, self, uid])) return `others than uid ${uid} can change ${parent}`;
    const known = lookAt(folder);
    if (known === null) {
      const safe = uid === self || isKeptFrom(lstatSync(parent), [root, self]);
      if (!safe) return `${folder} is not there, and is not made in a folder of another user`;
      mkdirSync(folder, { mode: 0o700 });
      if (uid !== self) lchownSync(folder, uid, -1);
    }
    const found = known ?? lstatSync(folder);
    if (!found.isDirectory()) return `${folder} is no folder`;
    if (found.uid !== uid && found.uid !== root) return `${folder} belongs to uid ${found.uid}`;
    if ((found.mode & foreignWrite) !== 0) return `others than its owner can write to ${folder}`;
    return null;
  } catch (error) {
    // A file system that is read-only, or full; a folder without rights.
    return messageOf(error);
  }
}

/** Whether nobody but these users can replace what is in a folder. */
function isKeptFrom({ uid, mode }: Stats, users: readonly number[]): boolean {
  return users.includes(uid) && ((mode & foreignWrite) === 0 || (mode & sticky) !== 0);
}

function lookAt(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}
