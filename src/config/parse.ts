/** Values as people write them: addresses, times, sizes, counts. Each parser says what it expected. */
import { addressForms, type GivenAddress, parseAddress } from './address.ts';
import type { Kind } from './settings.ts';
import { functionMarker } from './show.ts';

/** A value in prefork's own unit, or what was expected instead. */
export type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly expected: string };

const ok = (value: unknown): Parsed => ({ ok: true, value });
const no = (expected: string): Parsed => ({ ok: false, expected });

export interface ParseContext {
  /** Whether the value came as text (command line, environment), so that numbers are written in it. */
  readonly isText: boolean;
  /** Against which relative paths are meant. */
  readonly cwd: string;
}

/** Numbers, times and the like are short; nothing longer is looked at. */
const maxText = 64;

export function parseValue(kind: Kind, value: unknown, context: ParseContext): Parsed {
  switch (kind.type) {
    case 'app':
    case 'text':
      return typeof value === 'string' && value !== '' && !value.includes('\0')
        ? ok(value)
        : no('a text that is not empty');
    case 'texts':
      return isTexts(value) ? ok(value) : no('a list of texts');
    case 'record':
      return parseRecord(value);
    case 'addresses':
      return parseAddresses(value, context);
    case 'address':
      return parseOneAddress(value, context);
    case 'boolean':
      return parseBoolean(value, context);
    case 'choice':
      return kind.values.includes(value as string) ? ok(value) : no(`one of ${kind.values.join(', ')}`);
    case 'count':
      return parseCount(kind, value, context);
    case 'time':
      return parseTime(value, kind.min, context);
    case 'size':
      return parseSize(value, context);
    case 'mode':
      return parseMode(value);
    case 'surge':
      return parseSurge(value, context);
    case 'hook':
      return value === functionMarker ? ok(value) : no('a function (hooks are set in the config file)');
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes('\0'));
}

function parseRecord(value: unknown): Parsed {
  const expected = 'an object of texts, or NAME=value';
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

function numberOf(value: unknown, { isText }: ParseContext): number | null {
  if (typeof value === 'number') return value;
  return isText && typeof value === 'string' && value.length <= maxText && /^-?\d+(\.\d+)?$/.test(value)
    ? Number(value)
    : null;
}

function parseCount(kind: Extract<Kind, { type: 'count' }>, value: unknown, context: ParseContext): Parsed {
  if (kind.auto === true && value === 'auto') return ok('auto');
  const number = numberOf(value, context);
  const range = kind.max >= 1e9 ? `of at least ${kind.min}` : `from ${kind.min} to ${kind.max}`;
  const expected = `a whole number ${range}${kind.auto === true ? ' or auto' : ''}`;
  return number !== null && Number.isInteger(number) && number >= kind.min && number <= kind.max
    ? ok(number)
    : no(expected);
}

const timeUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** setTimeout takes 2^31 - 1 ms; nobody needs more. */
const maxTime = 24 * 86_400_000;

function parseTime(value: unknown, min: number, context: ParseContext): Parsed {
  const expected = `seconds, or a text such as '500ms', '30s', '5m' or '2h', ${min > 0 ? 'more than 0' : 'not negative'}, at most 24 days`;
  const seconds = numberOf(value, context);
  let milliseconds = seconds === null ? Number.NaN : seconds * 1_000;
  if (seconds === null && typeof value === 'string' && value.length <= maxText) {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(value) ?? [];
    milliseconds = Number(digits) * (timeUnits[unit ?? ''] ?? Number.NaN);
  }
  const rounded = Math.round(milliseconds);
  return rounded >= min && rounded <= maxTime ? ok(rounded) : no(expected);
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

function parseSize(value: unknown, context: ParseContext): Parsed {
  const expected = "bytes, or a text such as '512MB' or '1.5G' (1 MB is 1024 x 1024 bytes)";
  let bytes = numberOf(value, context) ?? Number.NaN;
  if (Number.isNaN(bytes) && typeof value === 'string' && value.length <= maxText) {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(value) ?? [];
    bytes = Math.round(Number(digits) * (sizeUnits[unit?.toLowerCase() ?? ''] ?? Number.NaN));
  }
  return Number.isSafeInteger(bytes) && bytes >= 0 ? ok(bytes) : no(expected);
}

function parseMode(value: unknown): Parsed {
  const text = typeof value === 'number' && Number.isInteger(value) ? value.toString(8).padStart(3, '0') : value;
  const isMode = typeof text === 'string' && /^0?o?[0-7]{3}$/.test(text);
  return isMode ? ok(Number.parseInt(text.slice(-3), 8)) : no("permissions such as '660' or 0o660");
}

function parseSurge(value: unknown, context: ParseContext): Parsed {
  const expected = "a whole number of at least 1, or a share such as '25%'";
  if (typeof value === 'string' && value.length <= maxText) {
    const share = Number(/^(\d+(?:\.\d+)?)%$/.exec(value)?.[1] ?? Number.NaN);
    if (share > 0 && share <= 100) return ok({ share: share / 100 });
  }
  const number = numberOf(value, context);
  return number !== null && Number.isInteger(number) && number >= 1 && number <= 1024 ? ok(number) : no(expected);
}

function parseBoolean(value: unknown, { isText }: ParseContext): Parsed {
  if (typeof value === 'boolean') return ok(value);
  if (isText && (value === 'true' || value === 'false')) return ok(value === 'true');
  return no('true or false');
}

function parseOneAddress(value: unknown, context: ParseContext): Parsed {
  const parsed = Array.isArray(value) ? no('one address, host:port or unix:/path') : parseAddresses(value, context);
  return parsed.ok ? ok((parsed.value as readonly GivenAddress[])[0]) : parsed;
}

function parseAddresses(value: unknown, { cwd }: ParseContext): Parsed {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  if (items.length === 0) return no(addressForms);
  const addresses: GivenAddress[] = [];
  for (const item of items) {
    const address =
      typeof item === 'number'
        ? parseAddress(String(item), cwd)
        : typeof item === 'string'
          ? parseAddress(item, cwd)
          : null;
    if (address === null) return no(`${addressForms} (the port from 0 to 65535)`);
    if (typeof address === 'string') return no(address);
    addresses.push(address);
  }
  const seen = new Set<string>();
  for (const address of addresses) {
    const key = JSON.stringify(address);
    if (seen.has(key) && !(address.kind === 'tcp' && address.port === 0)) return no('each address once');
    seen.add(key);
  }
  return ok(addresses);
}
