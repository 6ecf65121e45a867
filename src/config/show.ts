/** Values and names in messages: short, on one line, whatever they are. */
import { inspect } from 'node:util';
import { plain } from '../system/plain.ts';

/** Begins a string that stands for something JSON cannot carry; the rest says what it was. See `probe/child.ts`. */
export const markerPrefix = '\u0000';
/** What stands for a function in a config that crossed from the child that loaded it. */
export const functionMarker = `${markerPrefix}function`;

/** The longest string that is shown whole, in characters. */
const maxShown = 80;

/** A value as it would be written in code. */
export function show(value: unknown): string {
  if (typeof value === 'string' && value.startsWith(markerPrefix)) return shorten(withArticle(value.slice(1)));
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxStringLength: 60,
    maxArrayLength: 5,
  });
  return shorten(text.replace(nestedMarker, (_, name: string) => withArticle(name)));
}

/** A string of {@link markerPrefix}, as `inspect` writes it within an object or a list. */
const nestedMarker = /'\\x00([\w ]{1,60})'/g;

/** A name as it is, if it looks like one; else as a quoted string, so that it cannot pose as a line of its own. */
export function showName(name: string): string {
  return /^[\w$.-]{1,60}$/.test(name) ? name : show(name);
}

/** Cuts a long string, and lets no line break or control character through. */
export function shorten(text: string, length: number = maxShown): string {
  const cut = text.length > length ? `${text.slice(0, length - 3)}...` : text;
  return plain(cut);
}

function withArticle(name: string): string {
  if (/^(?:NaN|-?Infinity)$/.test(name)) return name;
  return /^[aeiou]/i.test(name) ? `an ${name}` : `a ${name}`;
}

/** A command, or options, as others may see it: without the values that it sets, and without what looks like a password. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/([\w.-]+=)(?:"[^"]*"|'[^']*'|[^\s"';|&])+/g, '$1***')
    .replace(/:\/\/[^\s/@]+@/g, '://***@')
    .replace(/(\s--?[\w-]*(?:pass|secret|token|key|auth)[\w-]*\s+)(?:"[^"]*"|'[^']*'|\S+)/gi, '$1***');
}
