/** Helpers for file descriptors. */
import { closeSync } from 'node:fs';

/** Closes a descriptor; that it is closed already is no error. */
export function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It is closed already.
  }
}
