/**
 * Descriptors that our caller left open, and that would reach every process we start: a shell's lock file, another
 * service's socket. Node closes what it opens itself at exec, and at its start marks what it inherits so too, but only up
 * to the first gap above 15.
 */
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { FileError } from '../errors.ts';

/** One entry of child_process's `stdio`, as it is used here. */
export type StdioPart = 'ignore' | 'inherit' | 'pipe' | 'ipc' | number;

/** See open(2). */
const O_CLOEXEC = 0o2000000;
/** A list is made that is as long as the highest of them. */
const maxDescriptor = 4_096;
let nothing: number | null = null;

/**
 * Not closed in ourselves: a lock that is held by it is the caller's will.
 *
 * @returns `stdio` with nothing behind each of them, to be given to child_process; the same where there are none
 */
export function withoutStrays(stdio: readonly StdioPart[]): StdioPart[] {
  const strays = inheritable().filter((fd) => fd >= stdio.length);
  if (strays.length === 0) return [...stdio];
  nothing ??= openSync('/dev/null', 'r');
  const parts: StdioPart[] = [...stdio];
  for (const fd of strays) {
    // libuv leaves an ignored one above 2 alone.
    while (parts.length < fd) parts.push('ignore');
    parts[fd] = nothing;
  }
  return parts;
}

/**
 * A shell may open a descriptor and lower the limit below it afterwards. Processes can be started with nothing in its place
 * no more, and must not get it.
 *
 * @throws FileError
 */
export function checkStrays(): void {
  const limit = openFilesLimit();
  const beyond = inheritable().find((fd) => fd >= limit);
  if (beyond === undefined) return;
  throw new FileError(
    `file descriptor ${beyond}, which is open since before the start, is beyond the limit of ${limit} open files: no process can be started; close it, or raise the limit (ulimit -n)`,
  );
}

/** Of this process, see proc_pid_limits(5). */
function openFilesLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** See proc_pid_fdinfo(5). */
function inheritable(): number[] {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fdinfo');
  } catch {
    return [];
  }
  return names
    .map(Number)
    .filter((fd) => fd > 2 && fd < maxDescriptor && isInheritable(fd))
    .sort((a, b) => a - b);
}

function isInheritable(fd: number): boolean {
  try {
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    // Closed meanwhile: the one of the listing itself.
    return false;
  }
}
