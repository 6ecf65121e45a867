/** What stands at a path: helpers for files that processes make, find and take from each other. */
import { lstatSync, statSync, unlinkSync } from 'node:fs';

/** The longest path of a unix socket in bytes: `sun_path` less its terminating null, see unix(7). */
export const maxUnixPath = 107;

/** @returns the inode of the path itself (a link is not followed), `null` if nothing is there */
export function inodeOf(path: string): bigint | null {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** Removes the file if it is still the one with this inode: another process may have put its own in its place. */
export function removeIfOurs(path: string | null, inode: bigint | null): void {
  if (path !== null && inode !== null && inodeOf(path) === inode) removeQuietly(path);
}

/** Removes a file; that it is gone already, or cannot be removed, is no error. */
export function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone already, or its folder no longer belongs to this user.
  }
}

/**
 * Whether every user can replace files in a folder. In a folder such as /tmp the sticky bit prevents it, see chmod(1).
 *
 * @returns `false` also if the folder does not exist
 */
export function isReplaceableByOthers(folder: string): boolean {
  const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o002) !== 0 && (mode & 0o1000) === 0;
}
