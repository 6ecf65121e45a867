/**
 * The live page on the admin address: one document with its style and its script in it, made by the build. Nothing is
 * put into it here, and it loads nothing but the events of this master.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Reply, Route } from './route.ts';

const folder = new URL('../../page/', import.meta.url);

interface Document {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

let made: Document | null = null;

export function pageRoutes(): Route[] {
  const handle = (): Reply => {
    made ??= compose();
    return { status: 200, body: made.text, type: 'text/html; charset=utf-8', headers: made.headers };
  };
  return [{ method: 'GET', path: '/', handle }];
}

function compose(): Document {
  const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
  const style = read('style.css');
  // For a browser the script ends at the first `</script`, even inside a string.
  const script = read('main.js').replaceAll('</script', '<\\/script');
  const text = read('index.html')
    .replace('<link rel="stylesheet" href="style.css">', () => `<style>${style}</style>`)
    .replace('<script src="main.js" defer></script>', '')
    .replace('</body>', () => `<script>${script}</script>\n</body>`);
  return { text, headers: headersFor(style, script) };
}

/**
 * Only this style and this script are used, connections go only to this master, strings never become markup, and no other
 * page may frame it.
 */
function headersFor(style: string, script: string): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
  };
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
