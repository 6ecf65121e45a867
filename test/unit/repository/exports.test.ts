/** The types of `require('prefork')` are listed by hand in src/index.cts: none is missing there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** @returns the names of the types and classes that a source exports, sorted */
function exportedTypes(source: string): string[] {
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((match) => (match[1] ?? '').split(','));
  const listed = lists.map((name) => name.replace(/\btype\b/, '').trim());
  const declared = [...source.matchAll(/^export (?:type|interface|class) (\w+)/gm)].map((match) => match[1] ?? '');
  return [...listed, ...declared].filter((name) => /^[A-Z]/.test(name)).sort();
}

test('src/index.cts names every type that src/index.ts exports', () => {
  const expected = exportedTypes(read('src/index.ts'));
  assert.ok(expected.includes('UserConfig') && expected.includes('ConfigExport') && expected.includes('BindError'));
  const named = [...read('src/index.cts').matchAll(/^ {2}export type (\w+) = esm\.(\w+);$/gm)];
  for (const [line, left, right] of named) assert.equal(left, right, line);
  assert.deepEqual(named.map((match) => match[1]).sort(), expected);
});
