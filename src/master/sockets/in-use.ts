/** What is said of an address that another process listens on, by whichever way it was asked for: always the same lines. */
import { holdersOf, type Where } from './holders.ts';

/**
 * @param what cannot be done: `cannot bind`
 * @param label of the address
 * @returns three lines: that the address is in use, by whom, and what to do
 */
export function inUse(what: string, label: string): string {
  const where = whereOf(label);
  const [holder] = holdersOf(where);
  const list = 'path' in where ? 'ss -lxp' : `ss -ltnp sport = :${where.port}`;
  const who =
    holder === undefined
      ? `this user cannot see which process has it; as root: ${list}`
      : `it is held by pid ${holder.pid}${holder.command === '' ? '' : ` (${holder.command})`}`;
  return [
    `${what} ${label}: address in use (EADDRINUSE)`,
    who,
    'stop that process, or choose another address: --bind, or PORT if the app listens by itself',
  ].join('\n');
}

/** Where the label of an address leads. */
export function whereOf(label: string): Where {
  if (label.startsWith('unix:')) return { path: label.slice(5) };
  return { port: Number(/:(\d+)$/.exec(label)?.[1] ?? 0) };
}
