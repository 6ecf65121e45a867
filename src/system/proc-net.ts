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
