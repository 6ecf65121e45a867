/**
 * What keeps a web page from using its visitor's browser against us: a name that is made to point to this machine (DNS
 * rebinding), and requests across origins. See CVE-2018-7160 for how this was found out.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type Reply, refuse } from './route.ts';

/**
 * @param names that are ours besides `localhost`, lower case
 * @returns why the request is not answered, or `null`
 */
export function refusalOf(
  { headers, headersDistinct, method, url = '' }: IncomingMessage,
  names: readonly string[] = [],
): Reply | null {
  const { host = '', origin } = headers;
  if (!url.startsWith('/')) return refuse(400, 'bad_request', 'expected a path');
  if ((headersDistinct.host?.length ?? 0) > 1) return refuse(400, 'bad_request', 'there is more than one Host');
  if (!isOurName(host, names))
    return refuse(421, 'wrong_host', 'ask by IP address, as localhost, or by a name that adminHosts has');
  if (origin !== undefined && origin !== `http://${host}`) return refuse(403, 'wrong_origin', 'not for other sites');
  if (isEmbedded(headers)) return refuse(403, 'wrong_site', 'not for other sites');
  if (method !== 'GET' && method !== 'HEAD')
    return refuse(405, 'read_only', 'this address is read-only; use the control socket');
  return null;
}

/** A browser says so if another site's page asks, as by an image, which sends no Origin. A link to us is fine. */
function isEmbedded(headers: IncomingMessage['headers']): boolean {
  const site = headers['sec-fetch-site'];
  return (site === 'cross-site' || site === 'same-site') && headers['sec-fetch-mode'] !== 'navigate';
}

/** A name can be made to point anywhere by its owner; an address cannot. */
function isOurName(host: string, names: readonly string[]): boolean {
  const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
  if (names.includes(name)) return true;
  return name === 'localhost' || isIP(name) === 4 || (/^\[.*\]$/.test(name) && isIP(name.slice(1, -1)) === 6);
}
