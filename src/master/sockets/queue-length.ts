/** How many connections wait to be accepted: of a listening TCP socket Linux tells it as its receive queue. */
import { readFileSync } from 'node:fs';
import { socketInode } from '../../system/socket-inode.ts';

/** @returns the sum over the sockets, `null` if the system does not say */
export function waitingOf(fds: readonly number[]): number | null {
  if (process.platform !== 'linux') return null;
  const inodes = new Set(fds.flatMap((fd) => socketInode(fd) ?? []));
  let sum: number | null = null;
  for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const line of readLines(table)) {
      const [, , , state, queues, , , , , inode] = line.trim().split(/\s+/);
      // 0A is LISTEN; the listening ones come first, and all others may be many.
      if (state !== '0A') {
        if (state !== 'st') break;
        continue;
      }
      if (inodes.has(inode ?? '')) sum = (sum ?? 0) + Number.parseInt(queues?.split(':')[1] ?? '0', 16);
    }
  }
  return sum;
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n');
  } catch {
    return [];
  }
}
