/** Which processes hold a listening socket: /proc/net names the socket, and /proc/PID/fd who has it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { shorten, withoutSecrets } from '../../config/show.ts';
import { monotonic } from '../../system/monotonic.ts';
import { listeningRows } from '../../system/proc-net.ts';

/** Where a socket listens: on all addresses of a port, or at a path. */
export type Where = { readonly port: number } | { readonly path: string };

export interface Holder {
  readonly pid: number;
  /** How `ps` shows it, on one line. */
  readonly command: string;
}

/** Milliseconds for which what was found holds: several who ask for the same address ask at the same time. */
const lasts = 2_000;
let last: { readonly key: string; readonly at: number; readonly holders: readonly Holder[] } | null = null;

/**
 * @returns those that this user may see, the oldest of them first (by its pid); of other users' processes only root sees
 * what they hold
 */
export function holdersOf(where: Where): readonly Holder[] {
  const key = JSON.stringify(where);
  const now = monotonic();
  if (last?.key === key && now - last.at < lasts) return last.holders;
  const inodes = 'path' in where ? unixInodes(where.path) : tcpInodes(where.port);
  const holders = inodes.size === 0 ? [] : processesWith(inodes);
  last = { key, at: now, holders };
  return holders;
}

function tcpInodes(port: number): ReadonlySet<string> {
  const found = new Set<string>();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const table of ['tcp', 'tcp6']) {
    for (const columns of listeningRows(`/proc/self/net/${table}`)) {
      if (columns[1]?.endsWith(suffix) === true && columns[9] !== undefined) found.add(columns[9]);
    }
  }
  return found;
}

/** Of /proc/net/unix: the inode, and behind it the path as it was given to bind(2). */
function unixInodes(path: string): ReadonlySet<string> {
  const found = new Set<string>();
  try {
    for (const line of readFileSync('/proc/self/net/unix', 'utf8').split('\n')) {
      const [, inode, name] = /^\S+ \S+ \S+ \S+ \S+ \S+ +(\d+) (.*)$/.exec(line) ?? [];
      if (inode !== undefined && name === path) found.add(inode);
    }
  } catch {
    // There is no /proc.
  }
  return found;
}

function processesWith(inodes: ReadonlySet<string>): readonly Holder[] {
  const pids = namesIn('/proc').filter((name) => /^\d+$/.test(name));
  return pids
    .filter((pid) => namesIn(`/proc/${pid}/fd`).some((fd) => inodes.has(inodeAt(`/proc/${pid}/fd/${fd}`))))
    .map((pid) => ({ pid: Number(pid), command: commandOf(pid) }))
    .sort((a, b) => a.pid - b.pid);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // The process is gone, or another user's.
    return [];
  }
}

function inodeAt(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? '';
  } catch {
    return '';
  }
}

function commandOf(pid: string): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    return shorten(withoutSecrets(words), 60);
  } catch {
    return '';
  }
}
