/**
 * What this container, or service, may use of the machine: the kernel's control groups, versions 1 and 2. Node's
 * `availableParallelism()` knows of them only in newer versions, and `totalmem()` not at all. See cgroups(7).
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Limits {
  /** Cores, as a fraction; `null` is no limit. */
  readonly cpus: number | null;
  /** Bytes; `null` is no limit. */
  readonly memory: number | null;
}

/** More than any machine has is how version 1 says that there is no limit. */
const absurd = 2 ** 52;

/** @param root where `/proc` and the mounts are; only tests have another */
export function containerLimits(root = '/'): Limits {
  const cpus = foldersOf(root, 'cpu').flatMap((folder) => cpuOf(folder) ?? []);
  const memory = foldersOf(root, 'memory').flatMap((folder) => memoryOf(folder) ?? []);
  return {
    cpus: cpus.length === 0 ? null : Math.min(...cpus),
    memory: memory.length === 0 ? null : Math.min(...memory),
  };
}

/** How many processes the kernel has killed for lack of memory, and whether that counts this control group or the machine. */
export interface OomKills {
  readonly count: number;
  readonly of: 'group' | 'machine';
}

/**
 * Finds the kernel's own counter: `memory.events` of version 2, `memory.oom_control` of version 1 (Linux 4.13), and of a process
 * that is in no group `/proc/vmstat`.
 *
 * @param root where `/proc` and the mounts are; only tests have another
 * @returns reads it; `null` if there is none
 */
export function oomCounter(root = '/'): (() => OomKills | null) | null {
  const paths = foldersOf(root, 'memory').flatMap((folder) => [
    join(folder, 'memory.events'),
    join(folder, 'memory.oom_control'),
  ]);
  const counterAt =
    (path: string, of: OomKills['of']): (() => OomKills | null) =>
    () => {
      const count = oomKillIn(read(path));
      return count === null ? null : { count, of };
    };
  const counters = [...paths.map((path) => counterAt(path, 'group')), counterAt(join(root, 'proc/vmstat'), 'machine')];
  return counters.find((counter) => counter() !== null) ?? null;
}

/** From lines of a name and a number each. */
function oomKillIn(text: string | null): number | null {
  const [, count] = /^oom_kill (\d+)$/m.exec(text ?? '') ?? [];
  return count === undefined ? null : Number(count);
}

function cpuOf(folder: string): number | null {
  const [quota, period] = read(join(folder, 'cpu.max'))?.split(' ').map(Number) ?? [
    Number(read(join(folder, 'cpu.cfs_quota_us')) ?? Number.NaN),
    Number(read(join(folder, 'cpu.cfs_period_us')) ?? Number.NaN),
  ];
  // `max` is no number, and -1 is no limit.
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : null;
}

/** @returns bytes that the group of this folder may use; `null` is no limit */
export function memoryOf(folder: string): number | null {
  const limit = Number(read(join(folder, 'memory.max')) ?? read(join(folder, 'memory.limit_in_bytes')) ?? Number.NaN);
  return limit > 0 && limit < absurd ? limit : null;
}

/** The group this process is in, and all above it that can be seen: each of them limits. */
export function foldersOf(root: string, controller: string): string[] {
  const groups = (read(join(root, 'proc/self/cgroup')) ?? '').split('\n').map((line) => line.split(':'));
  const mounts = mountsOf(root);
  const version1 = groups.find(([, controllers]) => controllers?.split(',').includes(controller));
  const version2 = groups.find(([id, controllers]) => id === '0' && controllers === '');
  return [
    ...climb(
      root,
      mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller)),
      version1,
    ),
    ...climb(
      root,
      mounts.find(({ type }) => type === 'cgroup2'),
      version2,
    ),
  ];
}

interface Mount {
  /** The part of the hierarchy that is mounted: a container sees its own only. */
  readonly top: string;
  readonly at: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** See proc_pid_mountinfo(5). */
function mountsOf(root: string): Mount[] {
  return (read(join(root, 'proc/self/mountinfo')) ?? '').split('\n').flatMap((line) => {
    const [, , , top, at] = line.split(' ');
    const [type, , options] = line.slice(line.indexOf(' - ') + 3).split(' ');
    if (top === undefined || at === undefined || type === undefined || !type.startsWith('cgroup')) return [];
    return [{ top, at, type, options: options?.split(',') ?? [] }];
  });
}

function climb(root: string, mount: Mount | undefined, group: readonly string[] | undefined): string[] {
  if (mount === undefined || group === undefined) return [];
  const path = group.slice(2).join(':');
  const below = path === mount.top ? '' : path.startsWith(`${mount.top}/`) ? path.slice(mount.top.length) : path;
  const top = join(root, mount.at);
  const folders: string[] = [];
  for (let folder = join(top, below); folder.length > top.length; folder = dirname(folder)) {
    if (existsSync(folder)) folders.push(folder);
  }
  return [...folders, top];
}

/** @returns the text of a small file of the kernel's, trimmed; `null` if it cannot be read */
export function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
