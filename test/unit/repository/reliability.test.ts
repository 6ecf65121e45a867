/** docs/reliability.md and the ids in the titles of the tests say the same; UPDATE_DOCS=1 writes its last column anew. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const page = new URL('../../../docs/reliability.md', import.meta.url);
const tests = new URL('../../', import.meta.url);
const id = /\b[A-Z][A-Z0-9]{1,5}-\d{2}\b/g;
const row = /^\| ([A-Z][A-Z0-9]+-\d{2}) \| (.+) \| (.*)\|$/gm;

/** @returns the ids in the strings of a test: its titles, also those that are made from a table. Comments do not count */
function idsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const strings = code.match(/(['"`])(?:\\.|(?!\1)[^\\\n])*\1/g) ?? [];
  return strings.flatMap((text) => text.match(id) ?? []);
}

/** From an id to the test files that carry it, relative to test/. */
function carriers(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  const paths = readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.test.ts'));
  // This file has ids of its own, to check itself.
  for (const path of paths.filter((name) => !name.endsWith('reliability.test.ts')).sort()) {
    for (const each of new Set(idsOf(readFileSync(new URL(path, tests), 'utf8')))) {
      found.set(each, [...(found.get(each) ?? []), path]);
    }
  }
  return found;
}

function render(text: string): string {
  const known = carriers();
  return text.replace(row, (_, name: string, what: string) => {
    const files = (known.get(name) ?? []).map((path) => `\`${path}\``).join(', ');
    return `| ${name} | ${what} | ${files === '' ? '' : `${files} `}|`;
  });
}

describe('docs/reliability.md', () => {
  const rendered = render(readFileSync(page, 'utf8'));
  if (process.env.UPDATE_DOCS !== undefined) writeFileSync(page, rendered);
  const text = readFileSync(page, 'utf8');
  const listed = [...text.matchAll(row)].map((match) => match[1] ?? '');

  it('names the test files that carry each id', () => {
    assert.equal(text, rendered, 'run UPDATE_DOCS=1 npm run test:unit');
  });

  it('has no id without a test', () => {
    const known = carriers();
    assert.ok(listed.length > 100, 'the rows were found');
    assert.deepEqual(
      listed.filter((name) => !known.has(name)),
      [],
    );
  });

  it('has every id that a test carries, once', () => {
    assert.deepEqual([...carriers().keys()].filter((name) => !listed.includes(name)).sort(), []);
    assert.deepEqual(
      listed.filter((name, index) => listed.indexOf(name) !== index),
      [],
    );
  });

  it('the check itself sees ids in titles and tables, and not in comments', () => {
    assert.deepEqual(idsOf("it('SIG-01 SIG-02: a title', () => {});"), ['SIG-01', 'SIG-02']);
    assert.deepEqual(idsOf("for (const [at] of [['TCP (RLD-05)']]) it(`BAD-01 at`);"), ['RLD-05', 'BAD-01']);
    assert.deepEqual(idsOf("// 'SIG-01'\n/* 'SIG-02' */\nit('nothing', () => {});"), []);
  });
});
