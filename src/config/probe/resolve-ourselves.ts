/** `import 'prefork'` in a config file works if prefork is installed globally too: there it means us. */
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

const { default: Module, register } = nodeModule;
/** This module, for a process that is to import it by itself. */
export const resolver = import.meta.url;
/** TypeScript if prefork runs from its sources. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const ourselves = new URL(`../../index.${extension}`, import.meta.url).href;

interface Resolved {
  readonly url: string;
  readonly shortCircuit?: boolean;
}
type Resolve = (
  specifier: string,
  context: unknown,
  next: (specifier: string, context: unknown) => Resolved,
) => Resolved;
/** Node 22.15 and newer, https://nodejs.org/api/module.html#moduleregisterhooksoptions. */
const registerHooks = Reflect.get(nodeModule, 'registerHooks') as ((hooks: { resolve: Resolve }) => void) | undefined;

/** For `import` and for `require`. Where `tsx` came first, Node 22 takes no second hook of the asynchronous kind. */
export function resolveOurselves(): void {
  if (registerHooks !== undefined) registerHooks({ resolve });
  else {
    register(asynchronousHook);
    patchRequire();
  }
}

const resolve: Resolve = (specifier, context, next) => {
  if (specifier !== 'prefork') return next(specifier, context);
  try {
    return next(specifier, context);
  } catch {
    return { url: ourselves, shortCircuit: true };
  }
};

const asynchronousHook = `data:text/javascript,${encodeURIComponent(`
  export async function resolve(specifier, context, next) {
    if (specifier !== 'prefork') return next(specifier, context);
    try { return await next(specifier, context); }
    catch { return { url: ${JSON.stringify(ourselves)}, shortCircuit: true }; }
  }`)}`;

function patchRequire(): void {
  const internals = Module as unknown as { _resolveFilename: (request: string, ...rest: unknown[]) => string };
  const original = internals._resolveFilename;
  internals._resolveFilename = (request, ...rest) => {
    try {
      return Reflect.apply(original, Module, [request, ...rest]) as string;
    } catch (error) {
      if (request === 'prefork') return fileURLToPath(ourselves);
      throw error;
    }
  };
}
