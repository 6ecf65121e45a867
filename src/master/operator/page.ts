/**
 * The live page on the admin address: one document with its style and its script in it, made by the build. Nothing is
 * put into it here, and it loads nothing but the events of this master.
 */
import { readFileSync } from 'node:fs';
import { ownFile } from '../../system/own-files.ts';
import type { Reply, Route } from './route.ts';

type HashOf = (text: string) => string;

interface Document {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

let made: Document | null = null;

export function pageRoutes(): Route[] {
  const handle = async (): Promise<Reply> => {
    // Only the first look at the page loads node:crypto, which is 1 to 4 MB.
    made ??= compose((await import('./page-hash.ts')).hashOf);
    return { status: 200, body: made.text, type: 'text/html; charset=utf-8', headers: made.headers };
  };
  return [{ method: 'GET', path: '/', handle }];
}

function compose(hashOf: HashOf): Document {
  const read = (file: string): string => readFileSync(ownFile(`page/${file}`), 'utf8');
  const style = read('style.css');
  // For a browser the script ends at the first `</script`, even inside a string.
  const script = read('main.js').replaceAll('</script', '<\\/script');
  const text = read('index.html')
    .replace('<link rel="stylesheet" href="style.css">', () => `<style>${style}</style>`)
    .replace('<script src="main.js" defer></script>', '')
    .replace('</body>', () => `<script>${script}</script>\n</body>`);
  return { text, headers: headersFor(hashOf(style), hashOf(script)) };
}

/**
 * Only this style and this script are used, connections go only to this master, strings never become markup, and no other
 * page may frame it.
 *
 * @param style its hash
 * @param script its hash
 */
function headersFor(style: string, script: string): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    `script-src '${script}'`,
    `style-src '${style}'`,
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
