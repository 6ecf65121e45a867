/** How many connections wait to be accepted: of a listening TCP socket Linux tells it as its receive queue. */
import { listeningRows } from '../../system/proc-net.ts';
import { socketInode } from '../../system/socket-inode.ts';

/**
 * The kernel's tables are read once for all listeners: they have a row for each listener themselves, and a worker can
 * open hundreds.
 *
 * @param listeners the sockets of each
 * @returns the sum over the sockets of each listener, `null` where the system does not say
 */
export function waitingOf(listeners: readonly (readonly number[])[]): (number | null)[] {
  if (process.platform !== 'linux' || listeners.length === 0) return listeners.map(() => null);
  const waiting = new Map<string, number>();
  for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6'])
    for (const [, , , , queues, , , , , inode] of listeningRows(table))
      waiting.set(inode ?? '', Number.parseInt(queues?.split(':')[1] ?? '0', 16));
  return listeners.map((fds) => {
    const known = fds.flatMap((fd) => waiting.get(socketInode(fd) ?? '-') ?? []);
    return known.length === 0 ? null : known.reduce((sum, each) => sum + each);
  });
}
