/**
 * Writes a heap snapshot on the way out of a worker that is retired for its memory. It blocks the event loop and takes about
 * as much memory again, so it comes when there are no clients any more, and not at all where there is no room for it.
 */
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { BootInfo } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';
import { marked } from '../evidence.ts';

/** Snapshots of a service that stay. */
const kept = 3;
const megabyte = 1024 * 1024;
/** Bytes of the largest heap of which one is written: nobody can open a much larger one. */
export const maxHeap = 1_024 * megabyte;
/** What a snapshot takes of memory, and of the disk, for each byte of the heap, at most; and beside that. */
const factor = 2;
const reserve = 64 * megabyte;
/** Bytes of heap in a millisecond, on a slow machine; and milliseconds beside that. */
const pace = 20_000;
const least = 500;
/** Milliseconds after which a file that was never finished is another worker's no more. */
const abandonedAfter = 15 * 60_000;

/** What a snapshot is written with; only tests have another. */
export interface Means {
  readonly heapUsed: () => number;
  /** Bytes of memory that can still be had; 0 if it is not known. */
  readonly availableMemory: () => number;
  readonly freeDisk: (folder: string) => number;
  readonly write: (path: string) => void;
}

const means: Means = {
  heapUsed: () => process.memoryUsage().heapUsed,
  availableMemory: () => process.availableMemory(),
  freeDisk: (folder) => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  },
  write: (path) => {
    process.getBuiltinModule('node:v8').writeHeapSnapshot(path);
  },
};

export class HeapSnapshot {
  readonly #channel: Pick<Channel, 'send'>;
  readonly #boot: Pick<BootInfo, 'slot' | 'settings'>;
  readonly #means: Means;

  constructor(channel: Pick<Channel, 'send'>, boot: Pick<BootInfo, 'slot' | 'settings'>, given: Means = means) {
    this.#channel = channel;
    this.#boot = boot;
    this.#means = given;
  }

  /** Tells the master what became of it. Never throws. @param end of `performance.now()`, by which it has to be done */
  write(end: number): undefined {
    const { name, heapSnapshots: folder } = this.#boot.settings;
    if (folder === null) return;
    const beganAt = performance.now();
    const told = { type: 'snapshot', file: null, bytes: 0 } as const;
    try {
      const problem = this.#obstacle(folder, end - beganAt);
      if (problem !== null) {
        this.#channel.send({ ...told, took: 0, problem });
        return;
      }
      const file = nameOf(name, this.#boot.slot);
      const bytes = this.#writeTo(folder, file);
      prune(folder, name);
      this.#channel.send({ ...told, file, bytes, took: Math.round(performance.now() - beganAt), problem: null });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#channel.send({ ...told, took: Math.round(performance.now() - beganAt), problem: problem.slice(0, 300) });
    }
  }

  /** @returns why none is written; `null` if nothing speaks against it */
  #obstacle(folder: string, time: number): string | null {
    const heap = this.#means.heapUsed();
    const needed = heap * factor + reserve;
    const what = `a heap of ${inMegabytes(heap)}`;
    if (heap > maxHeap) return `${what} is larger than ${inMegabytes(maxHeap)}`;
    const most = least + heap / pace;
    if (time < most) {
      const seconds = (milliseconds: number): string => `${(Math.max(0, milliseconds) / 1_000).toFixed(1)} s`;
      return `${what} may take ${seconds(most)}, and ${seconds(time)} are left of gracefulTimeout`;
    }
    const memory = this.#means.availableMemory();
    if (memory > 0 && memory < needed)
      return `${what} needs ${inMegabytes(needed)} of memory, and ${inMegabytes(memory)} are free`;
    const disk = this.#means.freeDisk(folder);
    return disk < needed
      ? `${what} needs ${inMegabytes(needed)} in ${folder}, and ${inMegabytes(disk)} are free`
      : null;
  }

  /** @returns its size in bytes */
  #writeTo(folder: string, file: string): number {
    const path = join(folder, file);
    const part = `${path}.part`;
    // A file of our own, that only this user can read: what is in memory is secret.
    closeSync(openSync(part, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600));
    try {
      giveWay();
      marked(() => this.#means.write(part))();
      const { size } = lstatSync(part);
      renameSync(part, path);
      return size;
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    }
  }
}

/** Should memory run out after all, the kernel is to end this process and no other one. See proc_pid_oom_score_adj(5). */
function giveWay(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux, or not allowed.
  }
}

function stem(service: string): string {
  return service.replace(/[^\w.-]/g, '_').slice(0, 60);
}

/** Sorted by name they are sorted by time. */
function nameOf(service: string, slot: number | null): string {
  const time = new Date().toISOString().replace(/[:.]/g, '-');
  return `${stem(service)}-${time}-slot${slot ?? 'none'}-${process.pid}.heapsnapshot`;
}

/** Of this service the newest stay. */
function prune(folder: string, service: string): void {
  const form = /^(.+)-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z)-slot\w+-\d+\.heapsnapshot(\.part)?$/;
  const own = readdirSync(folder)
    .map((file) => ({ file, match: form.exec(file) }))
    .filter(({ match }) => match?.[1] === stem(service));
  const done = own.filter(({ match }) => match?.[3] === undefined).sort((a, b) => (a.file < b.file ? 1 : -1));
  const abandoned = own.filter(
    ({ file, match }) =>
      match?.[3] !== undefined && Date.now() - lstatSync(join(folder, file)).mtimeMs > abandonedAfter,
  );
  for (const { file } of [...done.slice(kept), ...abandoned]) rmSync(join(folder, file), { force: true });
}

function inMegabytes(bytes: number): string {
  return `${Math.round(bytes / megabyte)} MB`;
}
