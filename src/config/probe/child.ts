/** The child that runs config code: loads the file, calls what it exports, and sends back plain data. */

import { readSync, writeFileSync } from 'node:fs';
import { functionMarker, markerPrefix, show } from '../show.ts';
import { describeFailure } from './failure.ts';
import { type ProbeOrder, type ProbeReport, probeDescriptor } from './messages.ts';
import { isTypeScript, loadDefault } from './module.ts';
import { resolveOurselves } from './resolve-ourselves.ts';
import { endWithParent } from './watch.ts';

const newline = 0x0a;
// What it prints may be lost; that is no reason to refuse it.
const outputs = [process.stdout, process.stderr];
for (const stream of outputs) stream.on('error', () => {});
/** Milliseconds. A reader that does not read must not hold up the answer. */
const flushWithin = 500;
let isAnswered = false;

const order = readOrder();
endWithParent(order.parent);
const fail = (error: unknown): void => report({ type: 'failed', reason: describeFailure(error, order.path) });
process.on('uncaughtException', fail);
process.once('beforeExit', () => report({ type: 'failed', reason: 'waits for a promise that never settles' }));
run(order).then(report, fail);

/** Nothing of the pipe is left to Node: a stream would keep the process, which then could not be seen to wait in vain. */
function readOrder(): ProbeOrder {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(64 * 1024);
    const length = readSync(probeDescriptor, chunk);
    // The parent is gone.
    if (length === 0) process.exit(1);
    chunks.push(chunk.subarray(0, length));
    if (chunk[length - 1] === newline) return JSON.parse(Buffer.concat(chunks).toString('utf8')) as ProbeOrder;
  }
}

/** The process is ended when this arrives, so what was printed has to be out by then. */
function report(message: ProbeReport): void {
  if (isAnswered) return;
  isAnswered = true;
  const flushed = outputs.map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve())));
  const patience = new Promise((resolve) => setTimeout(resolve, flushWithin));
  void Promise.race([Promise.all(flushed), patience]).then(() => answer(message));
}

function answer(message: ProbeReport): void {
  try {
    // All of it: the descriptor is one that blocks.
    writeFileSync(probeDescriptor, `${JSON.stringify(message)}\n`);
  } catch {
    // Nobody waits for it any more.
  }
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
