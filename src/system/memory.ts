/** How much memory is left: of the machine, and of this container or service. */
import { join } from 'node:path';
import { foldersOf, memoryOf, read } from './cgroup.ts';

/**
 * Bytes that may be used in addition to what is used now, without swapping and without meeting a limit: `MemAvailable` of
 * proc_meminfo(5), and for each control group with a limit what is left of it. Files that the kernel may forget count as
 * free, as they do in `MemAvailable`.
 *
 * @param root where `/proc` and the mounts are; only tests have another
 * @returns `null` if the system does not say
 */
export function availableMemory(root = '/'): number | null {
  const left = [machine(root), ...foldersOf(root, 'memory').map(group)].filter((bytes) => bytes !== null);
  return left.length === 0 ? null : Math.max(0, Math.min(...left));
}

function machine(root: string): number | null {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(read(join(root, 'proc/meminfo')) ?? '') ?? [];
  return kilobytes === undefined ? null : Number(kilobytes) * 1_024;
}

function group(folder: string): number | null {
  const limit = memoryOf(folder);
  const used = Number(
    read(join(folder, 'memory.current')) ?? read(join(folder, 'memory.usage_in_bytes')) ?? Number.NaN,
  );
  if (limit === null || !Number.isFinite(used)) return null;
  const [, files = '0'] = /^(?:total_)?inactive_file (\d+)$/m.exec(read(join(folder, 'memory.stat')) ?? '') ?? [];
  return limit - used + Number(files);
}
