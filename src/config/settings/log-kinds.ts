/** The kinds of values that only settings of the access log have. */
import { parseAccessField } from '../access-fields.ts';
import { parsePathPattern } from '../path-pattern.ts';
import { parseTrustProxy, type TrustProxy } from '../trust-proxy.ts';
import type { Kind, ParseContext, Parsed } from './kinds.ts';

const maxItems = 100;

/** Strings of a form; on the command line also with commas between them. */
function listOf(
  takes: string,
  expected: string,
  check: (text: string) => string | null,
): Kind<readonly string[], readonly string[]> {
  const no = (why?: string): Parsed<readonly string[]> => ({
    ok: false,
    expected: why === undefined ? expected : `${expected} (${why})`,
  });
  const parse = (value: unknown, { isText }: ParseContext): Parsed<readonly string[]> => {
    if (!Array.isArray(value)) return no();
    const items: string[] = [];
    for (const item of value as readonly unknown[]) {
      if (typeof item !== 'string') return no();
      items.push(...(isText ? item.split(',').map((text) => text.trim()) : [item]));
    }
    if (items.length === 0) return no();
    if (items.length > maxItems) return no(`at most ${maxItems} of them`);
    for (const item of items) {
      const wrong = check(item);
      if (wrong !== null) return no(wrong);
    }
    const twice = items.find((item, at) => items.indexOf(item) !== at);
    return twice === undefined ? { ok: true, value: items } : no(`${twice} is there twice`);
  };
  return { takes, flag: 'list', parse, format: (value) => value.join(' ') };
}

/** Fields of the access log in JSON. */
export const accessFields = listOf(
  'list of fields',
  'a list of fields such as time, url, status, request.header.NAME, response.header.NAME',
  (text) => {
    const field = parseAccessField(text);
    return typeof field === 'string' ? field : null;
  },
);

/** Patterns of URL paths. */
export const pathPatterns = listOf(
  'list of paths, with `*` for any characters',
  "a list of paths such as '/healthz' or '/assets/*'",
  (text) => {
    const pattern = parsePathPattern(text);
    return typeof pattern === 'string' ? pattern : null;
  },
);

export const trustProxy: Kind<boolean | number | string | readonly string[], TrustProxy> = {
  takes:
    "`true`, `false`, a number of hops, or a list of addresses, ranges such as `'10.0.0.0/8'`, `loopback`, `linklocal`, `uniquelocal`",
  flag: 'list',
  parse(value, { isText }) {
    const parsed = parseTrustProxy(value, isText);
    if (typeof parsed !== 'object' || !('problem' in parsed)) return { ok: true, value: parsed };
    const expected = 'true, false, a number of hops, or addresses such as 10.0.0.0/8, loopback, linklocal, uniquelocal';
    return { ok: false, expected: parsed.problem === '' ? expected : `${expected} (${parsed.problem})` };
  },
  format: (value) => (Array.isArray(value) ? value.join(' ') : String(value)),
};
