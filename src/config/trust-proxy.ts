/** Which proxies are believed when they say who the client is, as Express's `trust proxy` has it. */
import { isIP } from 'node:net';
import { closest } from './closest.ts';

/**
 * `true` is every proxy, `false` none; a number is that many hops, counted from here; else ranges of addresses, each as
 * `10.0.0.0/8`.
 *
 * @see https://expressjs.com/en/guide/behind-proxies.html
 */
export type TrustProxy = boolean | number | readonly string[];

/** Ranges that have names: RFC 5735 and 4291; 3927; 1918 and 4193. */
const named: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** More proxies stand in no row. */
export const maxHops = 32;
const maxRanges = 500;

/** @returns what is trusted, or what is wrong, in words */
export function parseTrustProxy(value: unknown, isText: boolean): TrustProxy | { readonly problem: string } {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return hops(value);
  const given: readonly unknown[] = Array.isArray(value) ? value : [value];
  // What begins with a zero byte stands for what no JSON has.
  const texts = given.filter((item): item is string => typeof item === 'string' && !item.includes('\0'));
  if (texts.length < given.length) return { problem: '' };
  const items = texts.flatMap((text) => text.split(',')).map((text) => text.trim());
  const [only] = items;
  // Gunicorn's way to write it.
  if (items.length === 1 && only === '*') return true;
  if (isText && items.length === 1 && (only === 'true' || only === 'false')) return only === 'true';
  if (isText && items.length === 1 && only !== undefined && /^\d+$/.test(only)) return hops(Number(only));
  const ranges: string[] = [];
  for (const item of items) {
    const found = rangesOf(item);
    if ('problem' in found) return found;
    ranges.push(...found);
  }
  if (ranges.length === 0) return false;
  return ranges.length > maxRanges ? { problem: `at most ${maxRanges} of them` } : [...new Set(ranges)];
}

function hops(count: number): TrustProxy | { readonly problem: string } {
  if (!Number.isInteger(count) || count < 0 || count > maxHops) return { problem: `hops are 0 to ${maxHops}` };
  return count === 0 ? false : count;
}

function rangesOf(text: string): readonly string[] | { readonly problem: string } {
  const known = Object.hasOwn(named, text.toLowerCase()) ? named[text.toLowerCase()] : undefined;
  if (known !== undefined) return known;
  const [, address = '', digits] = /^\[?([\da-f.:]{2,45})\]?(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const bits = digits === undefined ? most : Number(digits);
  // An IPv4 address inside an IPv6 one: such peers are known by their own.
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined && bits >= 96 && bits <= most) return [`${mapped}/${bits - 96}`];
  if (family !== 0 && bits <= most) return [`${address.toLowerCase()}/${bits}`];
  const shown = JSON.stringify(text.slice(0, 60));
  if (family !== 0) return { problem: `${shown} has more than ${most} bits` };
  const near = text.length > 40 ? null : closest(text.toLowerCase(), Object.keys(named));
  return { problem: near === null ? `${shown} is no address` : `${shown} is no address; did you mean ${near}?` };
}
