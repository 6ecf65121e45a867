/** The address of a webhook. All of it but the host may be a secret. */

/** Longest URL that is taken, characters. */
const maxUrl = 2_000;

/** @returns the URL; `null` if it is none of http or https */
export function parseWebhook(text: string): URL | null {
  if (text.length > maxUrl || !URL.canParse(text)) return null;
  const url = new URL(text);
  return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '' ? url : null;
}

/** @returns it as others may see it: `https://hooks.example/***` */
export function shownWebhook(text: string): string {
  const url = parseWebhook(text);
  if (url === null) return 'a URL that is not shown';
  return url.pathname === '/' && url.search === '' ? url.origin : `${url.origin}/***`;
}

/** The same of something that is no such URL, for a message about it. */
export function shownInstead(raw: unknown): string | null {
  // An empty one is a variable of the environment that is not set, and no secret.
  if (typeof raw !== 'string' || raw === '') return null;
  // Without the slashes it may be a name, and a password behind it.
  const [scheme] = /^[a-z][a-z0-9+.-]{0,20}:(?=\/\/)/i.exec(raw) ?? [];
  return scheme === undefined ? `a text of ${raw.length} characters (not shown: it may be a secret)` : `'${scheme}...'`;
}
