/** Which requests have no line in the access log. */
import { matchesPath, type PathPattern, parsePathPattern } from '../../config/path-pattern.ts';

/**
 * @param patterns of paths, checked before
 * @returns whether a request for this URL is left out; its query is not looked at
 */
export function skipping(patterns: readonly string[]): (url: string) => boolean {
  const plain = new Set<string>();
  const withStars: PathPattern[] = [];
  for (const text of patterns) {
    const pattern = parsePathPattern(text);
    if (typeof pattern === 'string') continue;
    if (pattern.length === 1) plain.add(text);
    else withStars.push(pattern);
  }
  return (url) => {
    const path = pathOf(url);
    return plain.has(path) || withStars.some((pattern) => matchesPath(pattern, path));
  };
}

/** Of a URL as it was sent: a path with a query, or with a host before it as proxies get it (RFC 9112, 3.2.2). */
function pathOf(url: string): string {
  const query = url.indexOf('?');
  const whole = query < 0 ? url : url.slice(0, query);
  if (whole.startsWith('/')) return whole;
  const [origin = ''] = /^[a-z][a-z\d+.-]*:\/\/[^/]*/i.exec(whole) ?? [];
  return origin === '' ? whole : whole.slice(origin.length) || '/';
}
