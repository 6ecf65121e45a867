/**
 * Where workers keep the code that V8 has compiled, so that the next one need not compile it again
 * (https://nodejs.org/api/module.html#module-compile-cache). See docs/decisions/0022-light-worker.md.
 */

import { readdirSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { mostWorkers } from '../../config/most-workers.ts';
import type { Settings } from '../../config/resolved.ts';
import type { BootInfo } from '../../protocol/messages.ts';
import { privateFolder } from '../../system/private-folder.ts';

/** The variable by which Node is told, from the first file that it loads. */
export const cacheVariable = 'NODE_COMPILE_CACHE';
/** With one of these in their environment the workers are left as they are: they say otherwise, or want precise coverage. */
const leaves = [cacheVariable, 'NODE_DISABLE_COMPILE_CACHE', 'NODE_V8_COVERAGE'];

/** The folder that workers of a release share; or none, and why if one was asked for. */
export type CompileCache =
  | { readonly folder: string; readonly reason: null }
  | { readonly folder: null; readonly reason: string | null };

/** What of the settings it depends on. */
export type CacheSettings = Pick<Settings, 'app' | 'compileCache' | 'env' | 'identity' | 'workers' | 'autoscale'>;

/**
 * Finds the folder, and makes the one that all releases of this user share. What is in it is made by the workers, with their
 * rights. Never throws: without a cache workers start as they would without prefork.
 *
 * @param temporary the folder for temporary files
 */
export function compileCacheOf(settings: CacheSettings, temporary = tmpdir()): CompileCache {
  const { compileCache, env, identity, app } = settings;
  if (compileCache === 'none' || leaves.some((name) => env[name] !== undefined)) return { folder: null, reason: null };
  if (!supportsCompileCache()) {
    return { folder: null, reason: compileCache === 'auto' ? null : 'it needs Node 22.8 or newer' };
  }
  const uid = identity?.uid ?? process.geteuid?.() ?? 0;
  const base = compileCache === 'auto' ? automatic(env, uid, temporary) : compileCache;
  const reason = privateFolder(base, uid);
  return reason === null ? { folder: join(base, releaseName(app.path)), reason: null } : { folder: null, reason };
}

/**
 * What a worker is told of the cache. The worker of the first slot, with which a reload begins, keeps what it has compiled for
 * the others before it is ready; a worker that is alone does so at its exit, for its clients would wait.
 *
 * While nothing is in the folder for this version of Node there is nothing to gain, and every other worker would write the same
 * once more at its exit: they do without.
 *
 * @returns `null` for a worker without a cache
 */
export function cacheFor({
  slot,
  settings,
}: {
  /** `null` for a spare. */
  readonly slot: number | null;
  readonly settings: CacheSettings;
}): BootInfo['compileCache'] {
  const { folder } = compileCacheOf(settings);
  if (folder === null || (slot !== 0 && !isFilled(folder))) return null;
  return { folder, keeps: slot === 0 && mostWorkers(settings) > 1 };
}

function isFilled(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.startsWith(`${process.version}-`));
  } catch {
    return false;
  }
}

/** What to say of a folder that was asked for and cannot be used; `null` if there is nothing to say. */
export function cacheNotice(settings: CacheSettings): string | null {
  if (settings.compileCache === 'auto') return null;
  const { reason } = compileCacheOf(settings);
  return reason === null ? null : `compileCache is not used: ${reason}`;
}

/** Node 22.8 and newer. */
export function supportsCompileCache(): boolean {
  return typeof Reflect.get(process.getBuiltinModule('node:module'), 'enableCompileCache') === 'function';
}

/** systemd names the folder of `CacheDirectory=`, of several the first (systemd.exec(5)). */
function automatic(env: Settings['env'], uid: number, temporary: string): string {
  const [cache = ''] = (env.CACHE_DIRECTORY ?? '').split(':');
  return cache.startsWith('/') ? join(cache, 'prefork-compile-cache') : join(temporary, `prefork-compile-cache-${uid}`);
}

/**
 * One name for each release: those that are not used any more can be told apart and go. Two releases of the same name would
 * only share a folder, for Node knows what it has compiled by path and content.
 */
function releaseName(app: string): string {
  const path = realPathOf(app);
  // FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(path)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${basename(path)
    .replace(/[^\w.-]/g, '_')
    .slice(0, 60)}-${hash.toString(16).padStart(8, '0')}`;
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
