/** The child that runs config code: loads the file, calls what it exports, and sends back plain data. */
import { spawnSync } from 'node:child_process';
import Module, { register } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { functionMarker } from './parse.ts';
import type { ProbeOrder, ProbeReport } from './probe-messages.ts';

process.once('message', (order: ProbeOrder) => {
  run(order).then(report, (error: unknown) => report({ type: 'failed', reason: describe(error, order.path) }));
});
process.on('uncaughtException', (error) => report({ type: 'failed', reason: describe(error, process.cwd()) }));

function report(message: ProbeReport): void {
  process.send?.(message);
}

async function run(order: ProbeOrder): Promise<ProbeReport> {
  const exported = await load(order.path);
  const config: unknown = typeof exported === 'function' ? await exported() : exported;
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    const got = config === undefined ? 'nothing' : inspect(config, { depth: 0 });
    return {
      type: 'failed',
      reason: `expected the default export to be an object, or a function that returns one, got ${got.slice(0, 80)}`,
    };
  }
  if (order.type === 'settings') return { type: 'settings', settings: plainObject(config) };
  const hook: unknown = Reflect.get(config, order.name);
  if (typeof hook === 'function') await hook.call(config, order.argument);
  return { type: 'called' };
}

async function load(path: string): Promise<unknown> {
  resolveOurselves();
  const url = pathToFileURL(path).href;
  const isTypeScript = ['.ts', '.mts', '.cts'].includes(extname(path));
  const isNative = (process.features as { typescript?: unknown }).typescript === 'strip';
  if (!isTypeScript) return defaultOf(await import(url));
  if (isNative) {
    try {
      return defaultOf(await import(url));
    } catch (error) {
      // Only what tsx understands and Node does not is worth a second try.
      if (
        !/ERR_UNSUPPORTED|ERR_UNKNOWN_FILE|NOT_FOUND|SyntaxError/.test(
          `${(error as { code?: string }).code} ${(error as Error).name}`,
        )
      )
        throw error;
    }
  }
  const { tsImport } = await import('tsx/esm/api');
  return defaultOf(await tsImport(url, import.meta.url));
}

function defaultOf(module: { readonly default?: unknown }): unknown {
  const first = module.default;
  // An ES module that was compiled to CommonJS.
  const isWrapped = typeof first === 'object' && first !== null && Reflect.get(first, '__esModule') === true;
  return isWrapped ? Reflect.get(first, 'default') : first;
}

/** `import 'prefork'` works where prefork is installed globally too: there it means us. */
function resolveOurselves(): void {
  const ourselves = new URL('../index.js', import.meta.url).href;
  const hook = `
    export async function resolve(specifier, context, next) {
      if (specifier !== 'prefork') return next(specifier, context);
      try { return await next(specifier, context); }
      catch { return { url: ${JSON.stringify(ourselves)}, shortCircuit: true }; }
    }`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
  const internals = Module as unknown as { _resolveFilename: (request: string, ...rest: unknown[]) => string };
  const original = internals._resolveFilename;
  internals._resolveFilename = (request, ...rest) => {
    try {
      return Reflect.apply(original, Module, [request, ...rest]) as string;
    } catch (error) {
      if (request === 'prefork') return new URL(ourselves).pathname;
      throw error;
    }
  };
}

/** Own enumerable properties as data. What is none of it becomes a text that says what it was. */
function plainObject(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(object).map((name) => [name, plain(Reflect.get(object, name), 0)]));
}

function plain(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'function':
      return functionMarker;
    case 'bigint':
    case 'symbol':
      return `\u0000${typeof value}`;
    case 'number':
      return Number.isFinite(value) ? value : `\u0000${value}`;
    case 'object': {
      if (value === null) return null;
      if (Array.isArray(value)) return depth > 3 ? '\u0000deep list' : value.map((item) => plain(item, depth + 1));
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null)
        return `\u0000${value.constructor?.name ?? 'strange object'}`;
      if (depth > 3) return '\u0000deep object';
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, depth + 1)]));
    }
    default:
      return value;
  }
}

/** One line: what was thrown, and where in the operator's files. */
function describe(error: unknown, path: string): string {
  if (!(error instanceof Error)) {
    return `threw ${inspect(error, { depth: 0, breakLength: Number.POSITIVE_INFINITY }).slice(0, 200)}`;
  }
  const message = error.message.split('\n', 1)[0]?.slice(0, 300) ?? '';
  const place = placeIn(error.stack ?? '') ?? (error.name === 'SyntaxError' ? placeIn(checkSyntax(path)) : null);
  return `${error.name}: ${message}${place === null ? '' : ` (at ${place})`}`;
}

/** The first place in a stack, or above it, that is neither Node's nor a package's. */
function placeIn(stack: string): string | null {
  const heading = /^(?:file:\/\/)?(\/[^\n]+:\d+)$/m.exec(stack)?.[1];
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line) && !/node:|node_modules/.test(line));
  return heading ?? /\(?(?:file:\/\/)?(\/[^()\s]+:\d+:\d+)\)?/.exec(frames.join('\n'))?.[1] ?? null;
}

/** An ES module's SyntaxError does not say where it is; Node's own check does. */
function checkSyntax(path: string): string {
  return spawnSync(process.execPath, ['--check', path], { encoding: 'utf8', timeout: 3_000 }).stderr ?? '';
}
