/** Helpers for file descriptors. */
import { closeSync, openSync } from 'node:fs';

/** Closes a descriptor; that it is closed already is no error. */
export function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It is closed already.
  }
}

/**
 * Finds out whether so many descriptors are free: it is better known before a process is started that wants them.
 *
 * @throws what node:fs says if they are not: EMFILE, or ENFILE
 */
export function checkFree(count: number): void {
  const open: number[] = [];
  try {
    while (open.length < count) open.push(openSync('/dev/null', 'r'));
  } finally {
    for (const fd of open) closeQuietly(fd);
  }
}
