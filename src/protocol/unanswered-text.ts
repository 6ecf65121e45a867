/** Requests that were not answered, in words. */
import type { UnansweredRequest } from '../core/death.ts';
import { withoutQuery } from './requests.ts';

/** How many are named in a line, and characters of each. */
const maxNamed = 3;
const maxUrl = 100;

/** `GET /export for 31.0 s (id 4f1c), POST /b for 2.0 s and 7 more`; empty if there are none. */
export function requestsText(requests: readonly UnansweredRequest[], inFlight: number, most = maxNamed): string {
  const named = requests.slice(0, most).map(requestText);
  const rest = Math.max(inFlight, requests.length) - named.length;
  if (named.length === 0) return '';
  return rest > 0 ? `${named.join(', ')} and ${rest} more` : named.join(', ');
}

/** `GET /export for 31.0 s (id 4f1c)`. What is behind the question mark may be a secret. */
export function requestText({ method, url, age, id, trace, route }: UnansweredRequest): string {
  const path = withoutQuery(url);
  const cut = path.length > maxUrl ? `${path.slice(0, maxUrl)}...` : path;
  const known = route === undefined || route === null || route === path ? '' : `route ${route}`;
  const named = (what: string, value: string | null | undefined): string => (value ? `${what} ${value}` : '');
  const about = [known, named('id', id), named('trace', trace)].filter((text) => text !== '').join(', ');
  return `${method} ${cut} for ${(age / 1_000).toFixed(1)} s${about === '' ? '' : ` (${about})`}`;
}
