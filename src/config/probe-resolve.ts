/** `import 'prefork'` in a config file works where prefork is installed globally too: there it means us. */
import Module, { register } from 'node:module';
import { fileURLToPath } from 'node:url';

/** TypeScript where prefork is run from its sources. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const ourselves = new URL(`../index.${extension}`, import.meta.url).href;

const hook = `
  export async function resolve(specifier, context, next) {
    if (specifier !== 'prefork') return next(specifier, context);
    try { return await next(specifier, context); }
    catch { return { url: ${JSON.stringify(ourselves)}, shortCircuit: true }; }
  }`;

/** The hook as an ES module of its own. */
export const resolveHook = `data:text/javascript,${encodeURIComponent(hook)}`;

/** For `import` and for `require`. */
export function resolveOurselves(): void {
  register(resolveHook);
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
