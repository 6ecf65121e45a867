/**
 * Whether this worker runs out of file descriptors. libuv then accepts and closes what waits, in silence: the log must
 * say why clients are turned away.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface Shortage {
  readonly connections: number;
}

/** Share of the limit from which on it is reported. */
const share = 0.9;

/** @param connections how many there are; only if they come near the limit is there a closer look */
export function shortage(connections: number): Shortage | null {
  if (connections === 0) return null;
  try {
    const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
    if (!(connections > limit / 3)) return null;
    const open = readdirSync('/proc/self/fd').length;
    return open >= limit * share ? { connections } : null;
  } catch (error) {
    // There is none left even for the look itself.
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EMFILE' ? { connections } : null;
  }
}
