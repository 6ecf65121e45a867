/**
 * Which of the app's own lines an error comes from, or a call: the first frame that is neither Node's, nor prefork's, nor a
 * package's, as its sources have it.
 */
import { fileURLToPath } from 'node:url';
import { SourceMaps } from '../source-maps.ts';
import { ourselves } from '../stack.ts';

/** Characters of a stack that are looked at: an app can make one of any length. */
const maxStack = 64 * 1024;
const maxFrames = 100;

/** @param error anything that was thrown @returns `checkout (src/cart.ts:41:7)`, or `null` if no frame is known */
export function frameOf(error: unknown, cwd: string): string | null {
  try {
    const stack: unknown = error instanceof Error ? error.stack : null;
    if (typeof stack !== 'string') return null;
    return appFrame(placed(framesIn(stack)), cwd);
  } catch {
    // A getter that throws, a Proxy.
    return null;
  }
}

/** @param frames as `describe` in stack.ts makes them: `at name (file:line:column)` */
export function appFrame(frames: readonly string[], cwd: string): string | null {
  const known = frames.filter((frame) => !isForeign(frame));
  const frame = known.find((each) => !each.includes('/node_modules/')) ?? known[0];
  return frame === undefined ? null : shorten(frame, cwd);
}

function framesIn(stack: string): string[] {
  return stack
    .slice(0, maxStack)
    .split('\n', maxFrames)
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.trim());
}

/** A place at the end of a frame, with or without parentheses. */
const place = /(?:^at |\()((?:async )?)((?:file:\/\/)?\/[^()]*?):(\d+):(\d+)\)?$/;

/** Each frame as the sources have it. If source maps are enabled, Node has placed them already. */
function placed(frames: readonly string[]): string[] {
  const maps = process.sourceMapsEnabled ? null : new SourceMaps();
  return frames.map((frame) =>
    frame.replace(place, (whole, _async, file: string, line: string, column: string) => {
      const path = file.startsWith('file:') ? fileURLToPath(file) : file;
      const found = maps === null ? `${path}:${line}:${column}` : maps.place(file, Number(line), Number(column));
      return whole.replace(`${file}:${line}:${column}`, () => found);
    }),
  );
}

function isForeign(frame: string): boolean {
  const [, file = ''] = /(?:^at |\()([^()]*):\d+:\d+\)?$/.exec(frame) ?? [];
  if (!file.startsWith('/') && !file.startsWith('file:')) return true;
  return ownFolders().some((folder) => file.startsWith(folder));
}

/** Prefork's code as it is loaded, and as its source maps name it. */
function ownFolders(): readonly string[] {
  return ourselves().flatMap((folder) => [folder, folder.replace(/dist\/$/, 'src/')]);
}

/** Without `at`, the working directory, and what says nothing. */
function shorten(frame: string, cwd: string): string {
  const text = frame.replace(/^at (async )?/, '').replace(`${cwd}/`, '');
  return text.replace(/^(?:(?:\w+\.)?<anonymous>|\w*\.?_on(?:Timeout|Immediate)|eval) \((.*)\)$/, '$1');
}
