/**
 * What this worker does for those that come after it: it writes the code that V8 has compiled for the app to the folder that
 * all workers of a release share. Node would write it at the exit, which is late for the rest of a rollout, and a worker that
 * is killed never comes to it.
 */
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Days after which the folder of a release that no worker has used goes. */
const keptFor = 30;
const day = 86_400_000;

/**
 * To be called when the app is loaded, in one worker of several. Takes some milliseconds for each megabyte of code that is new,
 * and next to none if nothing is. Never throws.
 *
 * @param folder of this release; those beside it are other releases'
 */
export function keepCompiled(folder: string): void {
  try {
    // Node 22.10 and newer.
    const { flushCompileCache } = process.getBuiltinModule('node:module') as {
      readonly flushCompileCache?: () => void;
    };
    flushCompileCache?.();
    const now = Date.now();
    utimesSync(folder, now / 1_000, now / 1_000);
    removeOld(dirname(folder), now);
  } catch {
    // A disk that is full, a file system that has become read-only: workers start without it.
  }
}

function removeOld(base: string, now: number): void {
  for (const name of readdirSync(base)) {
    const folder = join(base, name);
    if (statSync(folder).mtimeMs >= now - keptFor * day) continue;
    process.getBuiltinModule('node:fs').rmSync(folder, { recursive: true, force: true });
  }
}
