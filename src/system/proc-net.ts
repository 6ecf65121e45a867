/** The kernel's tables of TCP sockets: /proc/net/tcp of proc_pid_net(5). */
import { closeSync, openSync, readSync } from 'node:fs';

/**
 * The rows of listening sockets, in columns. The kernel puts them before all others, and this stops there: on a machine
 * with many connections the whole table takes a second, in which the process would do nothing else.
 *
 * @param path of a table of TCP sockets, such as /proc/self/net/tcp; nothing is found if there is none
 */
export function* listeningRows(path: string): Generator<string[]> {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // No IPv6, for example.
    return;
  }
  const page = Buffer.alloc(4_096);
  try {
    let rest = '';
    for (;;) {
      const size = readSync(file, page);
      const rows = (rest + page.toString('latin1', 0, size)).split('\n');
      rest = rows.pop() ?? '';
      for (const row of rows) {
        const columns = row.trim().split(/\s+/);
        if (columns[0] === 'sl') continue;
        // TCP_LISTEN
        if (columns[3] !== '0A') return;
        yield columns;
      }
      if (size === 0) return;
    }
  } finally {
    closeSync(file);
  }
}

/** Characters of a table up to which it is read as a whole: some 50,000 sockets, less than a tenth of a second. */
const readable = 8 * 1024 * 1024;

/**
 * Whether a client is in the middle of connecting to one of these ports of this machine: the kernel has answered it, and
 * does not have its answer to that.
 *
 * @returns `null` if the system has so many sockets that to find out takes too long; `false` also if it does not say
 */
export function hasHandshake(ports: ReadonlySet<number>): boolean | null {
  let isKnown = true;
  for (const path of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    const text = head(path, readable);
    // TCP_SYN_RECV
    const found = text.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 03 /gm);
    if ([...found].some(([, port]) => ports.has(Number.parseInt(port ?? '', 16)))) return true;
    isKnown &&= text.length < readable;
  }
  return isKnown ? false : null;
}

/** What the kernel has counted since it was started, on all ports: see /proc/net/netstat of proc_pid_net(5). */
export interface ConnectCounts {
  /**
   * Clients that were answered without being remembered: SYN cookies, RFC 4987 section 3.6. So it goes while a listening
   * socket has as many unfinished handshakes as places in its queue.
   */
  readonly cookies: number;
  /** How often something of a client was dropped because the queue of a listening socket was full. */
  readonly overflows: number;
}

/** @returns 0 of what the system does not say */
export function connectCounts(): ConnectCounts {
  const [names = '', values = ''] = head('/proc/self/net/netstat', 65_536).split('\n');
  const [columns, counts] = [names.split(' '), values.split(' ')];
  const of = (name: string): number => Number(counts[columns.indexOf(name)] ?? 0);
  return { cookies: of('SyncookiesSent'), overflows: of('ListenOverflows') };
}

/** The beginning of a table, of at most this many characters; nothing if there is none. */
function head(path: string, most: number): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return '';
  }
  const page = Buffer.alloc(65_536);
  let text = '';
  try {
    while (text.length < most) {
      const size = readSync(file, page);
      if (size === 0) break;
      text += page.toString('latin1', 0, size);
    }
    return text;
  } finally {
    closeSync(file);
  }
}
