/** Whether a socket that another process opened is one that can be served: Linux says what became of it. */
import { readFileSync } from 'node:fs';
import { socketInode } from '../../system/socket-inode.ts';

/** Of /proc/net/tcp: LISTEN, and CLOSE, which a bound socket is that does not listen yet. */
const servableTcp = new Set(['0A', '07']);
/** Of /proc/net/unix: a stream that is not connected. */
const stream = '0001';
const unconnected = '01';

/**
 * @returns what else it is, in words; `null` if it can be served, or if the system does not say (it may be of
 * another network namespace)
 */
export function whyNotServable(fd: number): string | null {
  const inode = socketInode(fd);
  if (inode === null) return null;
  for (const table of ['tcp', 'tcp6']) {
    const row = rowOf(table, inode, 9);
    if (row !== null) return servableTcp.has(row[3] ?? '') ? null : 'a connection';
  }
  const row = rowOf('unix', inode, 6);
  if (row !== null) {
    if (row[4] !== stream) return 'a unix socket that is no stream';
    return row[5] === unconnected ? null : 'a connection';
  }
  for (const table of ['udp', 'udp6', 'raw', 'raw6', 'netlink'])
    if (rowOf(table, inode, 9) !== null) return 'a socket of datagrams';
  return null;
}

function rowOf(table: string, inode: string, column: number): string[] | null {
  let text: string;
  try {
    text = readFileSync(`/proc/self/net/${table}`, 'latin1');
  } catch {
    return null;
  }
  // There may be very many: only the line that holds the number is taken apart.
  for (let at = text.indexOf(` ${inode}`); at >= 0; at = text.indexOf(` ${inode}`, at + 1)) {
    const line = text.slice(text.lastIndexOf('\n', at) + 1, text.indexOf('\n', at));
    const row = line.trim().split(/\s+/);
    if (row[column] === inode) return row;
  }
  return null;
}
