/** Whether a terminal sends its signals to this process. */
import { readFileSync } from 'node:fs';

/**
 * Whether the process is in the foreground group of its terminal: that group gets what the terminal has to tell, such as
 * WINCH for every change of the window's size, wherever its standard streams lead.
 */
export function isInForeground(): boolean {
  const stat = readStat();
  // Without /proc: a terminal that is read from is most likely the one.
  return stat === null ? process.stdin.isTTY : foregroundOf(stat);
}

/**
 * @param stat the line of `/proc/<pid>/stat`, see proc_pid_stat(5): the name may have spaces and brackets; after it are
 *   state, ppid, pgrp, session, tty_nr and tpgid
 */
export function foregroundOf(stat: string): boolean {
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group !== undefined && terminal !== undefined && terminal !== '0' && group === foreground;
}

function readStat(): string | null {
  try {
    return readFileSync('/proc/self/stat', 'latin1');
  } catch {
    return null;
  }
}
