/** Renders an error as Node does when it ends a process by it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

/** The stack with causes and own properties, under the line of source it was thrown from. */
export function describeError(error: unknown): string {
  try {
    if (!(error instanceof Error)) return `Uncaught:\n${inspect(error)}`;
    return `${sourceFrame(error)}${inspect(error, { depth: 5 })}`;
  } catch {
    // A getter that throws, a Proxy: an error must never hide behind another.
    return `Uncaught: ${Object.prototype.toString.call(error)}`;
  }
}

/** `file:line`, the source line and a caret; empty where the error has one already or comes from within Node. */
function sourceFrame({ stack = '', message }: Error): string {
  // What follows the message: its lines may look like anything.
  const trace = stack.slice(Math.max(0, stack.indexOf(message)) + message.length);
  const hasFrame = !/^\S*(Error|Exception)\b/.test(stack) && /^\S+:\d+\n/.test(stack);
  const first = trace.split('\n').find((line) => /^\s+at /.test(line));
  const place = /\(?((?:file:\/\/|\/)[^()]*):(\d+):(\d+)\)?$/.exec(first ?? '');
  if (hasFrame || place === null) return '';
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
