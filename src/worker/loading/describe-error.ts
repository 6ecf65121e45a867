/** Renders an error as Node prints it when it ends the process. */
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { SourceMaps } from '../source-maps.ts';

/** The stack with causes and own properties, under the line of source it was thrown from. */
export function describeError(error: unknown): string {
  try {
    if (!(error instanceof Error)) return `Uncaught:\n${inspect(error)}`;
    if (error instanceof SyntaxError) locateSyntaxError(error);
    return placeOwn(`${sourceFrame(error)}${inspect(error, { depth: 5 })}`);
  } catch {
    // A getter that throws, a Proxy: an error must never hide behind another.
    return `Uncaught: ${tagOf(error)}`;
  }
}

function tagOf(thrown: unknown): string {
  try {
    return Object.prototype.toString.call(thrown);
  } catch {
    return typeof thrown;
  }
}

/**
 * Has frames of prefork's own code name its source: the agent is one minified file, whose map is read when there is such a
 * frame, and not before.
 *
 * @param text a stack, or anything with one in it
 * @param file the file that this code is in
 */
export function placeOwn(text: string, file = import.meta.filename): string {
  if (!text.includes(`${file}:`)) return text;
  const maps = new SourceMaps();
  return text
    .split(file)
    .map((part, index) => {
      const [, line, column] = (index > 0 ? /^:(\d+):(\d+)/.exec(part) : null) ?? [];
      if (line === undefined || column === undefined) return `${index > 0 ? file : ''}${part}`;
      return maps.place(file, Number(line), Number(column)) + part.slice(line.length + column.length + 2);
    })
    .join('');
}

/** Whether a loader could not compile TypeScript: esbuild's error, by way of tsx. */
export function isTransformError({ name, message }: Error): boolean {
  return name === 'TransformError' || message.startsWith('Transform failed with ');
}

/** `JSON.parse` and `new Function` throw SyntaxErrors too, but are not called by Node's loader. */
export function isFromLoader({ stack = '' }: Error): boolean {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const caller = frames.find((line) => !line.endsWith('(<anonymous>)'));
  // A module that was imported from nowhere has no frames at all.
  return caller === undefined || /node:(internal\/(modules|vm|deps)|vm\b)/.test(caller);
}

/**
 * If an ES module cannot be parsed, its error does not say in which file: Node keeps that to itself until it prints
 * it. The REPL prints errors too, and puts what Node knows before the stack.
 */
function locateSyntaxError(error: SyntaxError): void {
  if (hasFrame(error) || !isFromLoader(error)) return;
  const { stack = '' } = error;
  try {
    const { start } = process.getBuiltinModule('node:repl');
    const [input, output] = [new PassThrough(), new PassThrough()];
    const repl = start({
      prompt: '',
      input,
      output,
      eval: (_line, _context, _file, callback) => callback(error, null),
    });
    repl.emit('line', '');
  } catch {
    // Without it the report is poorer, but it is a report.
  }
  // It takes the frames away.
  error.stack = hasFrame(error) ? `${(error.stack ?? '').split(/^\S*SyntaxError/m, 1)[0] ?? ''}${stack}` : stack;
}

/** `file:line`, the source line and a caret; empty if the error has them already or comes from within Node. */
function sourceFrame(error: Error): string {
  const { stack = '', message } = error;
  if (hasFrame(error) || isTransformError(error)) return '';
  // What follows the message: its lines may look like anything.
  const trace = stack.slice(Math.max(0, stack.indexOf(message)) + message.length);
  const first = trace.split('\n').find((line) => /^\s+at /.test(line));
  const place = /\(?((?:file:\/\/|\/)[^()]*):(\d+):(\d+)\)?$/.exec(first ?? '');
  if (place === null) return '';
  const [, file = '', line = '', column = ''] = place;
  try {
    const text = readFileSync(file.startsWith('file:') ? fileURLToPath(file) : file, 'utf8').split('\n')[
      Number(line) - 1
    ];
    if (text === undefined || text.length > 240) return '';
    return `${file}:${line}\n${text}\n${' '.repeat(Math.max(0, Number(column) - 1))}^\n\n`;
  } catch {
    return '';
  }
}

function hasFrame({ stack = '' }: Error): boolean {
  return /^\S+:\d+\n/.test(stack);
}
