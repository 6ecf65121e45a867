/** How many connections wait to be accepted: of a listening TCP socket Linux tells it as its receive queue. */
import { listeningRows } from '../../system/proc-net.ts';
import { socketInode } from '../../system/socket-inode.ts';

/** @returns the sum over the sockets, `null` if the system does not say */
export function waitingOf(fds: readonly number[]): number | null {
  if (process.platform !== 'linux') return null;
  const inodes = new Set(fds.flatMap((fd) => socketInode(fd) ?? []));
  let sum: number | null = null;
  for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const [, , , , queues, , , , , inode] of listeningRows(table)) {
      if (inodes.has(inode ?? '')) sum = (sum ?? 0) + Number.parseInt(queues?.split(':')[1] ?? '0', 16);
    }
  }
  return sum;
}
