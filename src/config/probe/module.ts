/** Loads a config file, in whatever language it is. */
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';

export function isTypeScript(path: string): boolean {
  return ['.ts', '.mts', '.cts'].includes(extname(path));
}

/**
 * @param isSecond another try: Node remembers how the first one failed
 * @returns the default export of a module, by Node if it understands it, else by tsx
 */
export async function loadDefault(path: string, isSecond = false): Promise<unknown> {
  const url = `${pathToFileURL(path).href}${isSecond ? '?again' : ''}`;
  if (!isTypeScript(path)) return defaultOf(await import(url));
  if ((process.features as { typescript?: unknown }).typescript === 'strip') {
    try {
      return defaultOf(await import(url));
    } catch (error) {
      if (!isForTsx(error)) throw error;
    }
  }
  // In a namespace of its own: Node remembers the failure above for the plain URL.
  const { tsImport } = await import('tsx/esm/api');
  return defaultOf(await tsImport(pathToFileURL(path).href, import.meta.url));
}

/** Only what tsx understands and Node does not is worth a second try. */
function isForTsx(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return /ERR_UNSUPPORTED|ERR_UNKNOWN_FILE|NOT_FOUND|SyntaxError/.test(`${code} ${error.name}`);
}

function defaultOf(module: { readonly default?: unknown }): unknown {
  const first = module.default;
  // An ES module that was compiled to CommonJS.
  const isWrapped = typeof first === 'object' && first !== null && Reflect.get(first, '__esModule') === true;
  return isWrapped ? Reflect.get(first, 'default') : first;
}
