/** Finds out when the main module has been evaluated, and what it exports. */
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/**
 * Waits until the main module has run to its end, top-level await included.
 *
 * @returns its exports: `module.exports`, or a module namespace
 */
export async function mainExports(path: string): Promise<unknown> {
  // A preload runs before the main module; a turn later a CommonJS one has run, and an ES module is on its way.
  await turn();
  if (isEvaluatedCommonJs()) return process.mainModule?.exports;
  await otherPreloads();
  // Node loads a module once: this is the main module itself.
  const namespace: unknown = await import(pathToFileURL(path).href);
  return isEvaluatedCommonJs() ? process.mainModule?.exports : namespace;
}

function isEvaluatedCommonJs(): boolean {
  return process.mainModule?.loaded === true;
}

/**
 * Waits for what is preloaded by `--import`. Until then the main module has not begun, and to import it here would load
 * it before the loaders it needs.
 */
async function otherPreloads(): Promise<void> {
  const specifiers = importOptions([...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)]);
  await Promise.allSettled(specifiers.map((specifier) => import(toUrl(specifier))));
  await turn();
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
