/** Why a config file cannot be loaded, in one line: what was thrown, and the place in the operator's files. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { shorten } from '../show.ts';
import { isTypeScript } from './module.ts';
import { resolver } from './resolve-ourselves.ts';

const maxMessage = 300;

export function describeFailure(error: unknown, path: string): string {
  if (!(error instanceof Error)) return `threw ${shorten(inspect(error, { depth: 0 }), maxMessage)}`;
  const place = placeIn(error.stack ?? '') ?? (error.name === 'SyntaxError' ? placeOfSyntaxError(path) : null);
  return `${error.name}: ${messageOf(error)}${place === null ? '' : ` (at ${place})`}`;
}

/** The first line; the next as well if the first announces it, as esbuild's does. */
function messageOf(error: Error): string {
  const [first = '', second = ''] = String(error.message).split('\n', 2);
  return shorten(first.endsWith(':') ? `${first} ${second.trim()}` : first, maxMessage);
}

/** The first place in a stack, or above it, that is neither Node's nor a package's nor our own. */
function placeIn(stack: string): string | null {
  const heading = /^((?:file:\/\/)?\/[^\n]+:\d+)$/m.exec(stack)?.[1];
  if (heading !== undefined) return asPath(heading);
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line) && !/node:|node_modules/.test(line));
  for (const frame of frames) {
    const place = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^\n]*?:\d+:\d+)\)?$/.exec(frame)?.[1];
    if (place?.startsWith(ourselves) === true) return null;
    if (place !== undefined) return asPath(place);
    // On Node 20 tsx wraps CommonJS in a data URL whose lines are not those of the file.
    const wrapped = /^\s+at [^\n]*data:text\/javascript[^\n]*\?filePath=([^\s?&)]+)/.exec(frame)?.[1];
    if (wrapped !== undefined) return decodeURIComponent(wrapped).replace(/\?.*$/, '');
  }
  return null;
}

/** Where this code lies; a frame of it means that none of the operator's came before. */
const ourselves = new URL('..', import.meta.url).href;

function asPath(place: string): string {
  return place.startsWith('file:') ? fileURLToPath(place) : place;
}

/**
 * The SyntaxError of an ES module does not name its place; only what Node prints if nothing catches it does. It is
 * found before any code runs, so a second import finds it again.
 */
function placeOfSyntaxError(path: string): string | null {
  const script = `
    import { resolveOurselves } from ${JSON.stringify(resolver)};
    resolveOurselves();
    await import(${JSON.stringify(pathToFileURL(path).href)});`;
  const loader = [path, resolver].some(isTypeScript) ? ['--import', import.meta.resolve('tsx')] : [];
  const { stderr } = spawnSync(process.execPath, [...loader, '--input-type=module', '--eval', script], {
    encoding: 'utf8',
    killSignal: 'SIGKILL',
    timeout: 3_000,
  });
  return placeIn(stderr ?? '');
}
