/** The child that runs config code: loads the file, calls what it exports, and sends back plain data. */

import { functionMarker, markerPrefix, show } from '../show.ts';
import { describeFailure } from './failure.ts';
import type { ProbeOrder, ProbeReport } from './messages.ts';
import { isTypeScript, loadDefault } from './module.ts';
import { resolveOurselves } from './resolve-ourselves.ts';
import { endWithParent } from './watch.ts';

const send = process.send?.bind(process);
// `process.send?.('ready')`, as some process managers want it, would be taken for the report.
Reflect.deleteProperty(process, 'send');
// What it prints may be lost; that is no reason to refuse it.
const outputs = [process.stdout, process.stderr];
for (const stream of outputs) stream.on('error', () => {});
/** Milliseconds. A reader that does not read must not hold up the answer. */
const flushWithin = 500;

process.once('message', (order: ProbeOrder) => {
  endWithParent(order.parent);
  const fail = (error: unknown) => report({ type: 'failed', reason: describeFailure(error, order.path) });
  process.on('uncaughtException', fail);
  process.once('beforeExit', () => report({ type: 'failed', reason: 'waits for a promise that never settles' }));
  run(order).then(report, fail);
});

/** The process is ended when this arrives, so what was printed has to be out by then. */
function report(message: ProbeReport): void {
  const flushed = outputs.map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve())));
  const patience = new Promise((resolve) => setTimeout(resolve, flushWithin));
  Promise.race([Promise.all(flushed), patience]).finally(() => send?.(message));
}

async function run(order: ProbeOrder): Promise<ProbeReport> {
  resolveOurselves();
  // Only tsx needs it, and does not say if it would have.
  if (isTypeScript(order.path)) process.setSourceMapsEnabled(true);
  const exported = await loadDefault(order.path);
  const config: unknown = typeof exported === 'function' ? await exported() : exported;
  if (!isPlain(config)) {
    const expected = 'expected the default export to be an object, or a function that returns one';
    return { type: 'failed', reason: `${expected}, got ${config === undefined ? 'nothing' : show(plain(config, 0))}` };
  }
  if (order.type === 'settings') return { type: 'settings', settings: plainObject(config) };
  const hook: unknown = Reflect.get(config, order.name);
  if (typeof hook === 'function') await hook.call(config, order.argument);
  return { type: 'called' };
}

/** A Map or an instance of some class has its content elsewhere, and would pass for an empty configuration. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function nameOfClass(value: object): string {
  const made: unknown = value.constructor;
  return typeof made === 'function' && made.name !== '' ? made.name : 'strange object';
}

/** Own enumerable properties as data. What is no data becomes a string that says what it was. */
function plainObject(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(object).map((name) => [name, plain(Reflect.get(object, name), 0)]));
}

function plain(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'function':
      return functionMarker;
    case 'bigint':
    case 'symbol':
      return `${markerPrefix}${typeof value}`;
    case 'number':
      return Number.isFinite(value) ? value : `${markerPrefix}${value}`;
    case 'object': {
      if (value === null) return null;
      // Whatever is this deep is no setting; a circle ends here too.
      if (depth > 3) return `${markerPrefix}deep ${Array.isArray(value) ? 'list' : 'object'}`;
      if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
      if (!isPlain(value)) return `${markerPrefix}${nameOfClass(value)}`;
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, depth + 1)]));
    }
    default:
      return value;
  }
}
