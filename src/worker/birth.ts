/** How a process becomes a worker: it takes what the master has left for it, and removes the traces from the app's view. */
import { realpathSync } from 'node:fs';
import { type BootInfo, bootVariable } from '../protocol/messages.ts';
import { isPrecaution } from '../system/node-internals.ts';
import { splitFirst } from '../system/preloads.ts';

/**
 * @param preload absolute path of the file that the master preloads
 * @returns `null` in a process that is no worker: preloads also run in worker threads, and in what the app forks
 */
export function takeBootInfo(preload: string): BootInfo | null {
  // No thread has it: it is gone before the first one is started.
  const encoded = process.env[bootVariable];
  if (encoded === undefined) return null;
  const boot = JSON.parse(encoded) as BootInfo;
  coverTracks(preload);
  // Node has read it. What the app starts has a cache of its own, or none.
  if (boot.compileCache !== null) delete process.env.NODE_COMPILE_CACHE;
  process.title = `prefork: worker ${boot.slot} [${boot.settings.name}]`;
  // A named export is imported by a main module of ours: the app finds itself as the script all the same.
  const { app } = boot.settings;
  if (app.exportName !== null) process.argv[1] = app.path;
  return boot;
}

/** What node:cluster adds where an option begins with --inspect. */
const clusters = ['--inspect-port=0'];

/** Removes what the app, and what it forks, would not find under plain node. */
function coverTracks(preload: string): void {
  delete process.env[bootVariable];
  const first = splitFirst(process.env.NODE_OPTIONS);
  if (first !== null && isSameFile(first.path, preload)) process.env.NODE_OPTIONS = first.options;
  const index = process.execArgv.findIndex(
    (arg, at) => arg === '--require' && isSameFile(process.execArgv[at + 1], preload),
  );
  if (index >= 0) process.execArgv.splice(index, 2);
  // The master's precautions for the inspector; process.execArgv must stay the same array.
  const kept = process.execArgv.filter((arg) => !isPrecaution(arg) && !clusters.includes(arg));
  process.execArgv.splice(0, process.execArgv.length, ...kept);
}

function isSameFile(path = '', preload: string): boolean {
  if (path === preload) return true;
  try {
    return realpathSync(path) === preload;
  } catch {
    return false;
  }
}
