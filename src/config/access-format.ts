/**
 * The format of the access log: Gunicorn's atoms, `%(h)s` and the like.
 *
 * @see https://docs.gunicorn.org/en/stable/settings.html#access-log-format
 */

/** As Gunicorn's `access_log_format`. */
export const defaultAccessLogFormat = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';

const plain = ['h', 'l', 'u', 't', 'r', 'm', 'U', 'q', 'H', 's', 'B', 'b', 'f', 'a', 'T', 'M', 'D', 'L', 'p'] as const;
type Plain = (typeof plain)[number];

export type FormatPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'atom'; readonly atom: Plain }
  /** A request's header, a response's, a variable of the environment. */
  | { readonly kind: 'i' | 'o' | 'e'; readonly name: string };

/** @returns the parts, or what is wrong, in words */
export function parseAccessFormat(format: string): readonly FormatPart[] | string {
  const parts: FormatPart[] = [];
  let rest = format;
  while (rest !== '') {
    const at = rest.indexOf('%');
    if (at !== 0) {
      const text = at < 0 ? rest : rest.slice(0, at);
      parts.push({ kind: 'text', text });
      rest = rest.slice(text.length);
      continue;
    }
    if (rest.startsWith('%%')) {
      parts.push({ kind: 'text', text: '%' });
      rest = rest.slice(2);
      continue;
    }
    const [whole = '', inner = ''] = /^%\(([^)]*)\)s/.exec(rest) ?? [];
    const part = partOf(inner);
    if (whole === '' || part === null) return `${whole === '' ? rest.slice(0, 12) : whole} is no atom of it`;
    parts.push(part);
    rest = rest.slice(whole.length);
  }
  return parts;
}

function partOf(inner: string): FormatPart | null {
  const atom = plain.find((each) => each === inner);
  if (atom !== undefined) return { kind: 'atom', atom };
  const [, name, kind] = /^\{([^}]+)\}([ioe])$/.exec(inner) ?? [];
  if (name === undefined || (kind !== 'i' && kind !== 'o' && kind !== 'e')) return null;
  return { kind, name: kind === 'e' ? name : name.toLowerCase() };
}
