/** What the system says of a process. */
import { readFileSync } from 'node:fs';

/** Whether there is a process with this pid, of whatever user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * The fields of /proc/PID/stat from the third on, see proc_pid_stat(5): the two before it are the pid and a name, which
 * may hold anything.
 *
 * @returns `null` if there is no such process, or no /proc
 */
export function statFieldsOf(pid: number): readonly string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
