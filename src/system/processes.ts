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

/** Whether a process has a handler for a signal, see proc_pid_status(5); `false` if there is no such process, or no /proc. */
export function takesSignal(pid: number, signal: number): boolean {
  try {
    const [, caught = '0'] = /^SigCgt:\s*([0-9a-f]{1,16})$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n;
  } catch {
    return false;
  }
}
