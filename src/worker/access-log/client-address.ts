/**
 * Who a request is from, where proxies that are trusted say so. The way is walked back from here: each hop that is
 * trusted is believed about the one before it, and the first that is not is the client. What it says itself is ignored.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7239 for `Forwarded`; `X-Forwarded-For` has no standard
 */
import { BlockList, isIP } from 'node:net';
import { maxHops, type TrustProxy } from '../../config/trust-proxy.ts';
import type { ClientOf } from './format.ts';

/** What a record has for the peer of a unix socket. */
const nobody = '-';
/** Longer than any address with a port and its quotes. */
const maxEntry = 100;

/** @returns `null` if nobody is trusted: the client is whoever is connected */
export function trusting(trust: TrustProxy): ClientOf | null {
  const isTrusted = trustOf(trust);
  if (isTrusted === null) return null;
  return (record) => {
    const { remote } = record;
    if (!isTrusted(remote, 0)) return remote;
    // A proxy that adds to the one passes on whatever the client has written into the other; most add to this one.
    const plain = record.requestHeader('x-forwarded-for');
    const header = plain ?? record.requestHeader('forwarded');
    return header === null ? remote : walk(remote, header, plain === null ? forwardedFor : addressIn, isTrusted);
  };
}

/** @param read finds the address in an entry; `null` if there is none, as in `unknown` */
function walk(
  peer: string,
  header: string,
  read: (entry: string) => string | null,
  isTrusted: (address: string, hop: number) => boolean,
): string {
  let client = peer;
  let end = header.length;
  for (let hop = 1; hop <= maxHops && end >= 0; hop++) {
    const comma = read === addressIn ? header.lastIndexOf(',', end - 1) : commaBefore(header, end);
    const address = end === 0 || end - comma > maxEntry ? null : read(header.slice(comma + 1, end).trim());
    // Nobody knows who it was: the last that is known is named.
    if (address === null) return client;
    client = address;
    if (!isTrusted(address, hop)) return client;
    end = comma;
  }
  return client;
}

/**
 * The comma before an element of `Forwarded`, found from its end: what a client has begun with a quote that it does not
 * end cannot swallow what a proxy has added.
 */
function commaBefore(header: string, end: number): number {
  let isQuoted = false;
  for (let at = end - 1; at >= Math.max(0, end - maxEntry * 2); at--) {
    const character = header[at];
    if (character === '"') isQuoted = !isQuoted;
    else if (character === ',' && !isQuoted) return at;
  }
  return -1;
}

/** The address in `for=192.0.2.60;proto=http`, `for="[2001:db8::17]:4711"`. */
function forwardedFor(element: string): string | null {
  for (const pair of element.split(';')) {
    const [, quoted, token] = /^\s*for\s*=\s*(?:"([^"\\]*)"|([^\s"]*))\s*$/i.exec(pair) ?? [];
    if (quoted !== undefined || token !== undefined) return addressIn(quoted ?? token ?? '');
  }
  return null;
}

/** The address in `192.0.2.60`, `192.0.2.60:4711`, `2001:db8::17`, `[2001:db8::17]:4711`. */
function addressIn(entry: string): string | null {
  const [, bracketed, withPort] =
    /^(?:\[([\da-f.:]{2,45})\](?::\w{1,20})?|(\d{1,3}(?:\.\d{1,3}){3}):\w{1,20})$/i.exec(entry) ?? [];
  const text = bracketed ?? withPort ?? entry;
  // A zone is a name of the machine that wrote it.
  if (text.length > 45 || text.includes('%') || isIP(text) === 0) return null;
  return /^::ffff:\d+\./i.test(text) ? text.slice(7) : text.toLowerCase();
}

/** @returns whether the hop of this number is trusted, the peer's being 0; `null` if none is */
function trustOf(trust: TrustProxy): ((address: string, hop: number) => boolean) | null {
  if (trust === false) return null;
  if (trust === true) return () => true;
  if (typeof trust === 'number') return (_, hop) => hop < trust;
  const list = listOf(trust);
  // A service has few proxies, and each is asked about with every request.
  const known = new Map<string, boolean>();
  return (address, hop) => {
    // At a unix socket is who may open it.
    if (address === nobody) return hop === 0;
    const before = known.get(address);
    if (before !== undefined) return before;
    const [plain = ''] = address.split('%', 1);
    const family = isIP(plain);
    const isListed = family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4');
    if (known.size >= 1_000) known.clear();
    known.set(address, isListed);
    return isListed;
  };
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
