/** The master's memory without what the next garbage collection would free: a leak shows in it after a few reloads. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Supervisor } from './supervisor.ts';
import { until } from './until.ts';

/** A module that, in the master only, collects garbage on SIGPWR and writes down what is left. */
const probe = `
  import { writeFileSync, renameSync } from 'node:fs';
  let asked = 0;
  if (process.argv[1]?.endsWith('prefork.js')) process.on('SIGPWR', () => {
    for (let round = 0; round < 3; round++) globalThis.gc();
    const { heapUsed, external, rss } = process.memoryUsage();
    writeFileSync('memory.new', JSON.stringify({ asked: ++asked, heapUsed, external, rss }));
    renameSync('memory.new', 'memory');
  });
`;

/** Options of node for a supervisor whose memory is to be measured. */
export const heapProbe: readonly string[] = [
  '--expose-gc',
  '--import',
  `data:text/javascript,${encodeURIComponent(probe)}`,
];

export interface Memory {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
}

/** Bytes, right after garbage was collected. Only for a supervisor started with {@link heapProbe}. */
export async function memoryAfterGc(supervisor: Supervisor): Promise<Memory> {
  const path = join(supervisor.dir, 'memory');
  const read = (): (Memory & { asked: number }) | null => {
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as Memory & { asked: number };
    } catch {
      return null;
    }
  };
  const before = read()?.asked ?? 0;
  supervisor.signal('SIGPWR');
  return await until('the master to collect its garbage', () => {
    const now = read();
    return now !== null && now.asked > before ? now : null;
  });
}
