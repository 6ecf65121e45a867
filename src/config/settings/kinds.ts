/**
 * The kinds of values: what a config file may say, how a value is read, and how it is shown. Times become milliseconds,
 * sizes bytes. Each parser says what it expects.
 */
import { resolve } from 'node:path';
import { parseAccessFormat } from '../access-format.ts';
import { addressForms, formatAddress, type GivenAddress, parseAddress } from '../address.ts';
import { functionMarker } from '../show.ts';
import { parseWebhook, shownInstead, shownWebhook } from '../webhook-url.ts';

/** A value in prefork's own unit, or what is expected instead, for `expected ..., got ...`. */
export type Parsed<Value> =
  | {
      readonly ok: true;
      readonly value: Value;
      /** Why it may not be what was meant: one line. */
      readonly doubt?: string;
    }
  | {
      readonly ok: false;
      readonly expected: string;
      /** What is wrong with a part of the value, in place of all of it. */
      readonly part?: { readonly name: string; readonly value: unknown };
    };

export interface ParseContext {
  /** Whether the value comes from the command line or the environment: a number is then written as a string. */
  readonly isText: boolean;
  /** The folder that relative paths start from. */
  readonly cwd: string;
}

/** `Written` is the type in a config file, `Value` the type once it is read. */
export interface Kind<Written = unknown, Value = unknown> {
  /** What the reference page says that the setting takes, in Markdown. */
  readonly takes: string;
  /** How a flag gives it: with a value, with values that add up, as a switch without any; `none` has no flag. */
  readonly flag: 'value' | 'list' | 'switch' | 'none';
  parse(value: unknown, context: ParseContext): Parsed<Value>;
  /** A value that is refused, as a message may show it; without it all of it is shown. `null` shows it. */
  shown?(raw: unknown): string | null;
  /** As the default is shown in the help and on the reference page. */
  format(value: Value): string;
  /** Joins the values of two sources, the later one last; without it the later value replaces the earlier one. */
  join?(earlier: Value, later: Value): Value;
  /** Only a type, never set. */
  readonly written?: Written;
}

/** Seconds, or a string such as `'500ms'`, `'30s'`, `'5m'`, `'2h'`. */
export type Time = number | string;

/** Bytes, or a string such as `'512MB'`; 1 MB is 1024 x 1024 bytes. */
export type Size = number | string;

/** Strings by name; numbers and booleans become strings. */
export type Names = Readonly<Record<string, string | number | boolean>>;

const ok = <Value>(value: Value): Parsed<Value> => ({ ok: true, value });
const no = (expected: string): { readonly ok: false; readonly expected: string } => ({ ok: false, expected });

/** Numbers, times and the like are short; nothing longer is looked at. */
const maxText = 64;

export const string: Kind<string, string> = {
  takes: 'string',
  flag: 'value',
  parse: (value) =>
    typeof value === 'string' && value !== '' && !value.includes('\0') ? ok(value) : no('a string that is not empty'),
  format: (value) => value,
};

/** A kind whose values are strings of one form. */
function stringAs<Value>(
  takes: string,
  read: (text: string, context: ParseContext) => Parsed<Value>,
  format: (value: Value) => string = String,
): Kind<string, Value> {
  const parse = (value: unknown, context: ParseContext): Parsed<Value> => {
    const text = string.parse(value, context);
    return text.ok ? read(text.value, context) : text;
  };
  return { takes, flag: 'value', parse, format };
}

/** The path of a file, which becomes absolute. */
export const path: Kind<string, string> = stringAs('path', (text, { cwd }) => ok(resolve(cwd, text)));

/** The same, for a file that nobody would give the name of a port; `-p 8000` means another option. */
export const pidfilePath: Kind<string, string> = stringAs('path', (text, { cwd }) =>
  /^([\w.-]*:)?\d{1,5}$/.test(text)
    ? no('the path of a file (an address is given by --bind, -b)')
    : ok(resolve(cwd, text)),
);

/** The folder of a cache, which becomes absolute; or a word for where prefork puts it, and for none. */
export const cachePlace: Kind<string, string> = stringAs('path, `auto` or `none`', (text, { cwd }) =>
  ok(text === 'auto' || text === 'none' ? text : resolve(cwd, text)),
);

/**
 * The file of a log, or `-` for a stream.
 *
 * @param device the stream as images of containers link it: a log is not written through a link
 * @param dash what `-` becomes
 */
export function logFile<Dash extends string | null>(device: string, dash: Dash): Kind<string, string | Dash> {
  return stringAs<string | Dash>('path, or `-`', (text, { cwd }) =>
    ok(text === '-' || text === device ? dash : resolve(cwd, text)),
  );
}

/** The path of a URL. */
export const urlPath: Kind<string, string> = stringAs('path of a URL', (text) =>
  /^\/[\w\-./~]*$/.test(text) ? ok(text) : no('a path such as /health/live'),
);

export const accessFormat: Kind<string, string> = stringAs('string', (text) => {
  const parts = text === 'json' ? [] : parseAccessFormat(text);
  return typeof parts === 'string'
    ? no(`Gunicorn's atoms such as %(h)s and %({referer}i)s, or json (${parts})`)
    : ok(text);
});

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A host and a port to send to. */
export function hostPort(defaultPort: number): Kind<string, HostPort> {
  const read = (text: string): Parsed<HostPort> => {
    const [, host, digits] = /^(?:udp:\/\/)?(\[[\da-f:.]+\]|[^:\s/]+)(?::(\d{1,5}))?$/i.exec(text) ?? [];
    const port = Number(digits ?? defaultPort);
    return host !== undefined && port > 0 && port <= 65_535
      ? ok({ host: host.replace(/^\[|\]$/g, ''), port })
      : no('host:port');
  };
  return stringAs('`host:port`', read, ({ host, port }) => `${host}:${port}`);
}

/** An address that events are posted to. */
export const webhookUrl: Kind<string, string> = {
  ...stringAs(
    'http or https URL',
    (text) => {
      const url = parseWebhook(text);
      return url === null ? no("an http or https URL such as 'https://hooks.example/prefork'") : ok(url.href);
    },
    shownWebhook,
  ),
  shown: shownInstead,
};

export const strings: Kind<readonly string[], readonly string[]> = {
  takes: 'list of strings',
  flag: 'list',
  parse: (value) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes('\0'))
      ? ok(value as readonly string[])
      : no('a list of strings'),
  format: (value) => (value.length === 0 ? 'none' : value.join(' ')),
};

/** Names of hosts, which become lower case. */
export const hostNames: Kind<readonly string[], readonly string[]> = {
  ...strings,
  parse(value, context) {
    const names = strings.parse(value, context);
    return names.ok ? ok(names.value.map((name) => name.toLowerCase())) : names;
  },
};

/** Strings by name; on the command line `NAME=value`. */
export const names: Kind<Names, Readonly<Record<string, string>>> = {
  takes: 'object of strings',
  flag: 'list',
  parse: parseNames,
  format(value) {
    const pairs = Object.entries(value).map(([name, item]) => `${name}=${item}`);
    return pairs.length === 0 ? 'none' : pairs.join(' ');
  },
};

/** The same; those of several sources add up, name by name. */
export const namesThatAddUp: typeof names = { ...names, join: (earlier, later) => ({ ...earlier, ...later }) };

export const boolean: Kind<boolean, boolean> = {
  takes: '`true` or `false`',
  flag: 'switch',
  parse(value, { isText }) {
    if (typeof value === 'boolean') return ok(value);
    if (isText && (value === 'true' || value === 'false')) return ok(value === 'true');
    return no('true or false');
  },
  format: String,
};

/** @param synonyms further spellings, and the value that each stands for */
export function choice<const Value extends string, const Synonym extends string = never>(
  values: readonly Value[],
  synonyms?: Readonly<Record<Synonym, NoInfer<Value>>>,
): Kind<Value | Synonym, Value> {
  const meanings = new Map<unknown, Value>(Object.entries<Value>(synonyms ?? {}));
  for (const value of values) meanings.set(value, value);
  return {
    takes: values.map((value) => `\`${value}\``).join(', '),
    flag: 'value',
    parse(given) {
      const value = meanings.get(given);
      return value === undefined ? no(`one of ${values.join(', ')}`) : ok(value);
    },
    format: String,
  };
}

/** When the release command runs. */
export type ReleaseMoment = (typeof releaseMoments)[number];

const releaseMoments = ['start', 'reload', 'upgrade'] as const;

type WrittenMoment = ReleaseMoment | 'all';

/** One of them, several, or `all`; on the command line with commas too. */
export const moments: Kind<WrittenMoment | readonly WrittenMoment[], readonly ReleaseMoment[]> = {
  takes: '`start`, `reload`, `upgrade`, a list of them, or `all`',
  flag: 'list',
  parse(value) {
    const items = [value].flat().flatMap((item: unknown) => (typeof item === 'string' ? item.split(',') : [item]));
    const words = items.map((item) => (typeof item === 'string' ? item.trim() : item));
    const found = releaseMoments.filter((moment) => words.includes(moment) || words.includes('all'));
    const isEach = words.every((word) => word === 'all' || releaseMoments.some((moment) => moment === word));
    return found.length > 0 && isEach ? ok(found) : no('start, reload or upgrade, several of them, or all');
  },
  format: (value) => value.join(','),
};

/** A whole number. */
export function count(min: number, max?: number): Kind<number, number> {
  const expected = `a whole number ${max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`;
  return {
    takes: `whole number, ${max === undefined ? `at least ${min}` : `${min} to ${max}`}`,
    flag: 'value',
    parse(value, context) {
      const number = numberOf(value, context);
      if (number === null || !Number.isInteger(number) || number < min || number > (max ?? number)) return no(expected);
      return number > maxCount ? no(`a whole number from ${min} to ${maxCount}`) : ok(number);
    },
    format: String,
  };
}

/** A larger one is a mistake, whatever is counted. */
const maxCount = 1e9;

/** A whole number, or `auto`. */
export function countOrAuto(min: number, max: number): Kind<number | 'auto', number | 'auto'> {
  const number = count(min, max);
  return {
    takes: `${number.takes}, or \`auto\``,
    flag: 'value',
    parse(value, context) {
      if (value === 'auto') return ok(value);
      const parsed = number.parse(value, context);
      return parsed.ok ? parsed : no(`${parsed.expected} or auto`);
    },
    format: String,
  };
}

/** Two whole numbers, the smaller one first. */
export interface CountRange {
  readonly min: number;
  readonly max: number;
}

/** A whole number, `auto`, or a range: `{ min: 2, max: 8 }`, on the command line `2-8`. */
export function countOrRange(
  min: number,
  max: number,
): Kind<number | 'auto' | CountRange, number | 'auto' | CountRange> {
  const single = countOrAuto(min, max);
  const number = count(min, max);
  const expected = `a whole number from ${min} to ${max}, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8`;
  const range = (from: unknown, to: unknown): Parsed<CountRange> => {
    const context = { isText: false, cwd: '' };
    const [low, high] = [number.parse(from, context), number.parse(to, context)];
    if (!low.ok || !high.ok) return no(expected);
    return low.value <= high.value
      ? ok({ min: low.value, max: high.value })
      : no('a range whose min is at most its max');
  };
  return {
    takes: `${number.takes}; \`auto\`; or a range such as \`{ min: 2, max: 8 }\` (\`2-8\`)`,
    flag: 'value',
    parse(value, context) {
      if (typeof value === 'string') {
        const [text, from, to] = /^(\d{1,6})(?:-|\.\.)(\d{1,6})$/.exec(value) ?? [];
        if (text !== undefined) return range(Number(from), Number(to));
      }
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        const { min: from, max: to, ...others } = value as Readonly<Record<string, unknown>>;
        return Object.keys(others).length === 0 ? range(from, to) : no(expected);
      }
      const parsed = single.parse(value, context);
      return parsed.ok ? parsed : no(expected);
    },
    format: (value) => (typeof value === 'object' ? `${value.min}-${value.max}` : String(value)),
  };
}

/** A time of 0 or more. */
export const time: Kind<Time, number> = timeFrom(0);
/** The same, where hours are usual. */
export const longTime: Kind<Time, number> = timeFrom(0, true);
/** A time of more than 0. */
export const positiveTime: Kind<Time, number> = timeFrom(1);

const timeUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** setTimeout takes 2^31 - 1 ms, which is a little more. */
const maxTime = 24 * 86_400_000;

/**
 * Other tools count milliseconds. Thousands of them are round numbers, and such numbers of seconds are rare: 30000 are more
 * than 8 hours.
 */
function doubtOf(seconds: number): string | null {
  if (seconds < 1_000 || seconds % 500 !== 0) return null;
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor((seconds % 3_600) / 60);
  const long = [hours > 0 ? `${hours} h` : [], minutes > 0 ? `${minutes} min` : []].flat().join(' ');
  return `${seconds} are seconds, ${long}; if milliseconds are meant: did you mean ${seconds / 1_000}s?`;
}

function timeFrom(min: number, isLong = false): Kind<Time, number> {
  const range = min > 0 ? 'more than 0' : 'not negative';
  const expected = `seconds, or a string such as '500ms', '30s', '5m' or '2h', ${range}, at most 24 days`;
  return {
    takes: 'time',
    flag: 'value',
    parse(value, context) {
      const seconds = numberOf(value, context);
      let milliseconds = seconds === null ? Number.NaN : seconds * 1_000;
      if (seconds === null && typeof value === 'string' && value.length <= maxText) {
        const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(value) ?? [];
        milliseconds = Number(digits) * (timeUnits[unit ?? ''] ?? Number.NaN);
      }
      const rounded = Math.round(milliseconds);
      if (!(rounded >= min && rounded <= maxTime)) return no(expected);
      const doubt = seconds === null || isLong ? null : doubtOf(seconds);
      return doubt === null ? ok(rounded) : { ok: true, value: rounded, doubt };
    },
    format: (value) => (value === 0 ? '0' : value % 1_000 === 0 ? `${value / 1_000}s` : `${value}ms`),
  };
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

export const size: Kind<Size, number> = {
  takes: 'size',
  flag: 'value',
  parse(value, context) {
    let bytes = numberOf(value, context) ?? Number.NaN;
    if (Number.isNaN(bytes) && typeof value === 'string' && value.length <= maxText) {
      const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(value) ?? [];
      bytes = Math.round(Number(digits) * (sizeUnits[unit?.toLowerCase() ?? ''] ?? Number.NaN));
    }
    return Number.isSafeInteger(bytes) && bytes >= 0
      ? ok(bytes)
      : no("bytes, or a string such as '512MB' or '1.5G' (1 MB is 1024 x 1024 bytes)");
  },
  format: String,
};

/** Permissions in octal. */
export const mode: Kind<string | number, number> = {
  takes: 'octal permissions',
  flag: 'value',
  parse(value) {
    const text = typeof value === 'number' && Number.isInteger(value) ? value.toString(8).padStart(3, '0') : value;
    const isMode = typeof text === 'string' && /^0?o?[0-7]{3}$/.test(text);
    return isMode ? ok(Number.parseInt(text.slice(-3), 8)) : no("permissions such as '660' or 0o660");
  },
  format: (value) => value.toString(8),
};

/** A number of workers, or a share of them such as `25%`. */
export const surge: Kind<number | string, number | { readonly share: number }> = {
  takes: "whole number, or a share such as `'25%'`",
  flag: 'value',
  parse(value, context) {
    if (typeof value === 'string' && value.length <= maxText) {
      const share = Number(/^(\d+(?:\.\d+)?)%$/.exec(value)?.[1] ?? Number.NaN);
      if (share > 0 && share <= 100) return ok({ share: share / 100 });
    }
    const number = numberOf(value, context);
    return number !== null && Number.isInteger(number) && number >= 1 && number <= 1024
      ? ok(number)
      : no("a whole number of at least 1, or a share such as '25%'");
  },
  format: (value) => (typeof value === 'number' ? String(value) : `${value.share * 100}%`),
};

/** Addresses to serve on. */
export const addresses: Kind<string | number | readonly (string | number)[], readonly GivenAddress[]> = {
  takes: 'address, or a list of them',
  flag: 'list',
  parse: parseAddresses,
  format: (value) => value.map(formatAddress).join(', '),
};

export const address: Kind<string | number, GivenAddress> = {
  takes: 'address',
  flag: 'value',
  parse(value, context) {
    if (Array.isArray(value)) return no('one address, host:port or unix:/path');
    const parsed = parseAddresses(value, context);
    const [first] = parsed.ok ? parsed.value : [];
    return parsed.ok && first !== undefined ? ok(first) : no(parsed.ok ? addressForms : parsed.expected);
  },
  format: formatAddress,
};

/** A function of the config file; what is read of it is that it is one. */
export function functionOf<Call>(): Kind<Call, string> {
  return {
    takes: 'function',
    flag: 'none',
    parse: (value) => (value === functionMarker ? ok(value) : no('a function (hooks are set in the config file)')),
    format: String,
  };
}

function numberOf(value: unknown, { isText }: ParseContext): number | null {
  if (typeof value === 'number') return value;
  return isText && typeof value === 'string' && value.length <= maxText && /^-?\d+(\.\d+)?$/.test(value)
    ? Number(value)
    : null;
}

function parseNames(value: unknown): Parsed<Readonly<Record<string, string>>> {
  const expected = 'an object of strings, or NAME=value';
  // Without a prototype: a variable may be named __proto__.
  const result: Record<string, string> = Object.create(null) as Record<string, string>;
  if (Array.isArray(value)) {
    for (const item of value) {
      const equals = typeof item === 'string' ? item.indexOf('=') : -1;
      if (typeof item !== 'string' || equals < 1 || item.includes('\0')) return no(expected);
      result[item.slice(0, equals)] = item.slice(equals + 1);
    }
    return ok(result);
  }
  if (typeof value !== 'object' || value === null) return no(expected);
  for (const [name, item] of Object.entries(value)) {
    if (typeof item === 'string' && name !== '' && !/[=\0]/.test(name) && !item.includes('\0')) result[name] = item;
    else if (typeof item === 'number' || typeof item === 'boolean') result[name] = String(item);
    else return no(expected);
  }
  return ok(result);
}

function parseAddresses(value: unknown, { cwd }: ParseContext): Parsed<readonly GivenAddress[]> {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  if (items.length === 0) return no(addressForms);
  const found: GivenAddress[] = [];
  for (const item of items) {
    const parsed = typeof item === 'number' || typeof item === 'string' ? parseAddress(String(item), cwd) : null;
    if (parsed === null) return no(`${addressForms} (the port from 0 to 65535)`);
    if (typeof parsed === 'string') return no(parsed);
    found.push(parsed);
  }
  const seen = new Set<string>();
  for (const each of found) {
    const key = JSON.stringify(each);
    // Each port 0 becomes a port of its own.
    if (seen.has(key) && !(each.kind === 'tcp' && each.port === 0)) return no('each address once');
    seen.add(key);
  }
  return ok(found);
}
