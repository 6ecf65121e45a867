/** Names that nobody can guess, for files that get their own name a moment later. */
import { closeSync, openSync, readSync } from 'node:fs';

/**
 * Hexadecimal digits from the kernel's generator, random(4). Not `randomBytes`: all of node:crypto is 1 to 2 MB of a process
 * that needs nothing else of it.
 *
 * @param bytes two digits each
 * @throws what node:fs says if there is no descriptor left
 */
export function randomName(bytes: number): string {
  const fd = openSync('/dev/urandom', 'r');
  try {
    const buffer = Buffer.alloc(bytes);
    readSync(fd, buffer);
    return buffer.toString('hex');
  } finally {
    closeSync(fd);
  }
}
