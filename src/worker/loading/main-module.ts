/** Finds out when the main module has been evaluated, and what it exports. */
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { manifestsOf } from '../../system/manifest.ts';
import { pause, turn } from '../../system/pause.ts';

/** Milliseconds in which a main module that may be CommonJS is looked for before it is taken for an ES module. */
const beginsWithin = 250;
/** Milliseconds between two looks. */
const every = 5;

/**
 * Waits until the main module has run to its end, top-level await included.
 *
 * @returns its exports: `module.exports`, or a module namespace; in an object, for they may be a promise, which is not to be
 *   waited for here
 * @throws what it has thrown, or an error that stands for it
 */
export async function mainExports(path: string): Promise<{ readonly exports: unknown }> {
  // A preload runs before the main module; a turn later a CommonJS one has run, and an ES module is on its way.
  await turn();
  if (isEvaluatedCommonJs()) return { exports: process.mainModule?.exports };
  refuseSecondTime();
  if (await otherPreloads()) await beginning(path);
  if (isEvaluatedCommonJs()) return { exports: process.mainModule?.exports };
  refuseSecondTime();
  // Node loads a module once: this is the main module itself.
  const namespace: unknown = await import(pathToFileURL(path).href);
  return { exports: isEvaluatedCommonJs() ? process.mainModule?.exports : namespace };
}

function isEvaluatedCommonJs(): boolean {
  return process.mainModule?.loaded === true;
}

/**
 * Node forgets a CommonJS module that has thrown: to import it would evaluate it again. It runs in one go, so that one that
 * has begun by now and is not loaded has thrown.
 */
function refuseSecondTime(): void {
  if (process.mainModule !== undefined && !isEvaluatedCommonJs()) throw new Error('the main module has thrown');
}

/**
 * Waits for what is preloaded by `--import`. Until then the main module has not begun, and to import it here would load
 * it before the loaders it needs.
 *
 * @returns whether there is any
 */
async function otherPreloads(): Promise<boolean> {
  const isAny = await preloadsByImport();
  await turn();
  return isAny;
}

/** Waits for what is preloaded by `--import`, and not longer. @returns whether there is any */
export async function preloadsByImport(): Promise<boolean> {
  const specifiers = importOptions([...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)]);
  if (specifiers.length === 0) return false;
  await Promise.allSettled(specifiers.map((specifier) => import(toUrl(specifier))));
  return true;
}

/**
 * Waits until a CommonJS main module has begun. After a preload Node takes some turns to come to it, on a busy machine
 * many; a module that is imported here first would never be the main one, and its `require.main === module` would be false.
 */
async function beginning(path: string): Promise<void> {
  const format = formatOf(path);
  if (format === 'module') return;
  const deadline = format === 'commonjs' ? Number.POSITIVE_INFINITY : performance.now() + beginsWithin;
  while (process.mainModule === undefined && performance.now() < deadline) await pause(every, { ref: false });
}

/** See https://nodejs.org/api/packages.html#determining-module-system; `null` if only the module's syntax tells. */
function formatOf(path: string): 'commonjs' | 'module' | null {
  if (/^\.c[jt]s$/.test(extname(path))) return 'commonjs';
  if (/^\.m[jt]s$/.test(extname(path))) return 'module';
  const [nearest] = manifestsOf(path);
  // What "commonjs" says of TypeScript is up to its loader.
  return nearest?.type === 'module' ? 'module' : null;
}

function importOptions(args: readonly string[]): string[] {
  return args.flatMap((arg, index) => {
    if (arg === '--import') return args[index + 1] ?? [];
    return arg.startsWith('--import=') ? arg.slice('--import='.length) : [];
  });
}

/** Resolves as Node does for `--import`: from the working directory. */
function toUrl(specifier: string): string {
  const base = pathToFileURL(`${process.cwd()}/`);
  if (/^\.{0,2}\//.test(specifier)) return new URL(specifier, base).href;
  if (/^[a-z][a-z+.-]*:/.test(specifier)) return specifier;
  try {
    return pathToFileURL(createRequire(base).resolve(specifier)).href;
  } catch {
    return specifier;
  }
}
