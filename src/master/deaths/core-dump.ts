/** Where the memory of a process that crashed is to be found. See core(5). */
import { readFileSync } from 'node:fs';

/** @param read the kernel's setting; only tests have another */
export function coreDumpHint(pid: number | null, read: () => string = corePattern): string {
  let pattern = '';
  try {
    pattern = read().trim();
  } catch {
    // Not Linux.
  }
  if (pattern.includes('systemd-coredump')) return `its core dump: coredumpctl info ${pid ?? ''}`.trim();
  if (pattern.startsWith('|'))
    return `its core dump went to ${pattern.slice(1).split(' ', 1)[0] ?? ''} (kernel.core_pattern)`;
  return 'for a core dump: ulimit -c unlimited before the start (LimitCORE=infinity in systemd)';
}

function corePattern(): string {
  return readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
}
