/** Which loader a TypeScript app needs: Node's own type stripping is faster and smaller, tsx understands everything. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import type { Settings } from '../../config/resolved.ts';

/** @returns whether workers need tsx */
export function wantsTsx(settings: Settings): boolean {
  if (!['.ts', '.mts', '.cts', '.tsx', '.jsx'].includes(extname(settings.app.path))) return false;
  switch (settings.typescript) {
    case 'tsx':
      return true;
    case 'native':
      return false;
    case 'auto':
      return !isStrippedByNode() || !isErasable(settings.app.path);
  }
}

function isStrippedByNode(): boolean {
  return (process.features as { typescript?: unknown }).typescript === 'strip';
}

/**
 * Whether the project says that it is written for type stripping: `erasableSyntaxOnly` in its tsconfig.json is how Node's
 * documentation tells projects to say so.
 */
function isErasable(path: string): boolean {
  if (path.endsWith('x')) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const file = join(folder, 'tsconfig.json');
    if (existsSync(file)) {
      // Comments are allowed in it, so it is searched, not parsed.
      return /^\s*"erasableSyntaxOnly"\s*:\s*true\b/m.test(readFileSync(file, 'utf8'));
    }
    if (folder === dirname(folder)) return false;
  }
}
