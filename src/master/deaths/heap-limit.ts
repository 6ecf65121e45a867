/** How large V8's heap may become in a worker. */
import type { Settings } from '../../config/resolved.ts';

export interface HeapLimit {
  readonly bytes: number;
  /** The option that sets it, if one does. */
  readonly option: string | null;
}

const megabyte = 1024 * 1024;
const option = /(?:^|\s)--max[-_]old[-_]space[-_]size[=\s]+["']?(\d+)/g;

/** @returns what `nodeArgs` or `NODE_OPTIONS` say, the last one as V8 does; `null` if they say nothing */
export function configuredHeapLimit({ env, nodeArgs }: Pick<Settings, 'env' | 'nodeArgs'>): HeapLimit | null {
  const all = [...`${env.NODE_OPTIONS ?? ''} ${nodeArgs.join(' ')}`.matchAll(option)];
  const size = Number(all.at(-1)?.[1] ?? Number.NaN);
  return size > 0 ? { bytes: size * megabyte, option: '--max-old-space-size' } : null;
}

/** Node's default here: this process has the same Node, on the same machine, within the same limits. */
export function usualHeapLimit(): HeapLimit {
  return { bytes: process.getBuiltinModule('node:v8').getHeapStatistics().heap_size_limit, option: null };
}
