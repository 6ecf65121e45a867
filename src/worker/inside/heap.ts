/**
 * What is in this worker's memory, as DevTools reads it. V8 writes it in one go, while nothing else runs in this process:
 * into a file that has no name, so that nothing is left of it whatever happens, and from there it is sent.
 */
import { closeSync, createReadStream, fstatSync, mkdtempSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { randomName } from '../../system/random-name.ts';

export interface HeapSnapshot {
  readonly size: number;
  /** Closes the file at its end. */
  readonly content: Readable;
}

/** @returns why it is better not to begin; `null` if nothing is in the way */
export function heapRefusal(): string | null {
  const { heapUsed } = process.memoryUsage();
  // Node 20.13 and 22.
  const { availableMemory } = process as { availableMemory?: () => number };
  const available = availableMemory?.() ?? 0;
  // V8 needs about as much again; where it is not there the system kills the worker.
  if (available === 0 || available >= heapUsed) return null;
  return `a snapshot needs about ${megabytes(heapUsed)} of memory beside the heap, and ${megabytes(available)} are left`;
}

function megabytes(bytes: number): string {
  return `${Math.max(1, Math.round(bytes / 2 ** 20))} MB`;
}

/**
 * Stops everything until it is written.
 *
 * @throws Error if there is no room for it in the folder for temporary files
 */
export function takeHeap(): HeapSnapshot {
  const fd = process.platform === 'linux' ? writeNameless() : writeInFolder();
  const { size } = fstatSync(fd);
  return { size, content: createReadStream('', { fd, start: 0, highWaterMark: 256 * 1024 }) };
}

function writeNameless(): number {
  const path = join(temporary(), `prefork-${randomName(8)}.heapsnapshot`);
  const fd = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
    write(`/proc/self/fd/${fd}`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Where a descriptor is no path. */
function writeInFolder(): number {
  const folder = mkdtempSync(join(temporary(), 'prefork-'));
  try {
    const path = join(folder, 'snapshot');
    write(path);
    return openSync(path, 'r');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function temporary(): string {
  return process.getBuiltinModule('node:os').tmpdir();
}

function write(path: string): void {
  process.getBuiltinModule('node:v8').writeHeapSnapshot(path);
}
