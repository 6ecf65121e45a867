/** Addresses as people write them: `host:port`, `:port`, `port`, `[::1]:port`, `unix:/path`, `fd://N`. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { maxUnixPath } from '../system/paths.ts';

/** An address a listener is bound to. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number };

/** An address as it is given: a socket that a service manager passed may have a name. */
export type GivenAddress = Address | { readonly kind: 'passed'; readonly name: string };

/** For messages. */
export const addressForms = 'host:port, :port, port, [::1]:port, unix:/path or fd://N';

/** A longer string is no address, and is not looked at. */
const maxText = 4_096;

/**
 * Reads an address. Host names are left as they are: they are looked up when they are bound.
 *
 * @param cwd the folder that a relative socket path starts from
 * @returns the address; what is expected, if it is nearly one; `null` if it is none
 */
export function parseAddress(text: string, cwd: string): GivenAddress | string | null {
  if (text.length > maxText || text.includes('\0')) return null;
  if (text.startsWith('unix:')) return parseUnix(text.slice(5), cwd);
  if (text.startsWith('fd://')) return parseFd(text.slice(5));
  return parseTcp(text);
}

function parseUnix(text: string, cwd: string): Address | string | null {
  // unix:///run/app.sock, as a URL, is the same as unix:/run/app.sock.
  const given = text.replace(/^\/\/(?=\/)/, '');
  if (given === '') return null;
  const path = resolve(cwd, given);
  return Buffer.byteLength(path) > maxUnixPath ? `a path of at most ${maxUnixPath} bytes` : { kind: 'unix', path };
}

function parseFd(text: string): GivenAddress | string | null {
  // As LISTEN_FDNAMES has it; an unknown name is found out later, with the sockets at hand.
  if (/^[A-Za-z_][\w.@-]{0,254}$/.test(text)) return { kind: 'passed', name: text };
  const fd = portOf(text);
  if (fd === null) return null;
  return fd < 3 ? 'fd://N with N of at least 3' : { kind: 'fd', fd };
}

function parseTcp(text: string): Address | null {
  const bare = portOf(text);
  if (bare !== null) return { kind: 'tcp', host: '0.0.0.0', port: bare };
  const [, bracketed, name, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = portOf(digits ?? '');
  if (port === null) return null;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { kind: 'tcp', host: bracketed, port } : null;
  if (name === '' || name === '*') return { kind: 'tcp', host: '0.0.0.0', port };
  return name !== undefined && /^[\w.-]+$/.test(name) ? { kind: 'tcp', host: name, port } : null;
}

function portOf(text: string): number | null {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

/** The address as it would be written. */
export function formatAddress(address: GivenAddress): string {
  switch (address.kind) {
    case 'passed':
      return `fd://${address.name}`;
    case 'unix':
      return `unix:${address.path}`;
    case 'fd':
      return `fd://${address.fd}`;
    case 'tcp':
      return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
  }
}
