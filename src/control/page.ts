/** The live page on the admin address: fixed files, made for a browser by the build. Nothing is put into them here. */
import { readFileSync } from 'node:fs';
import type { Reply, Route } from './http.ts';

const folder = new URL('../page/', import.meta.url);

/** The modules of the page; a path that is not here does not exist. */
export const pageModules = [
  'columns',
  'connection',
  'dom',
  'entries',
  'format',
  'group',
  'history',
  'main',
  'pool',
  'spark-path',
  'spark',
  'totals',
  'workers',
] as const;

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
} as const;

/** Only what we serve runs and is shown, it talks only to us, it makes no markup of text, and nobody frames it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
} as const;

export function pageRoutes(): Route[] {
  return [
    fileRoute('/', 'index.html'),
    fileRoute('/page/style.css', 'style.css'),
    ...pageModules.map((name) => fileRoute(`/page/${name}.js`, `${name}.js`)),
  ];
}

function fileRoute(path: string, file: string): Route {
  let text: string | null = null;
  const type = types[file.split('.')[1] as keyof typeof types];
  const handle = (): Reply => {
    text ??= readFileSync(new URL(file, folder), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
    return { status: 200, body: text, type, headers };
  };
  return { method: 'GET', path, handle };
}
