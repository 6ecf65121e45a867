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

/** Characters of a table up to which it is read as a whole: some 3,000 sockets, a few milliseconds. */
const readable = 512 * 1024;

/**
 * Whether a client is in the middle of connecting to one of these ports of this machine: the kernel has answered it, and
 * does not have its answer to that.
 *
 * @returns `false` also if the system does not say, or has so many sockets that to find out takes too long
 */
export function hasHandshake(ports: ReadonlySet<number>): boolean {
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].some((path) => {
    const text = head(path, readable);
    if (text.length >= readable) return false;
    // TCP_SYN_RECV
    const found = text.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 03 /gm);
    return [...found].some(([, port]) => ports.has(Number.parseInt(port ?? '', 16)));
  });
}

/** The beginning of a table, of at most this many characters; nothing if there is none. */
function head(path: string, most: number): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return '';
  }
  const page = Buffer.alloc(16_384);
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
