/** SECURITY.md and docs/boundary.md name the tests that prove what they promise: these are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../support/paths.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('each promise of SECURITY.md names tests that exist', () => {
  const [, promises = ''] = read('SECURITY.md').split('## What prefork promises');
  const items = promises.split(/^\d+\. /m).slice(1);
  assert.ok(items.length >= 13, `${items.length} promises`);
  for (const item of items) {
    const title = /^\*\*(.*?)\*\*/s.exec(item)?.[1] ?? item.slice(0, 40);
    const proofs = /\[(`[^\]]*`)\]/.exec(item)?.[1] ?? '';
    const files = [...proofs.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
    assert.ok(files.length > 0, `${title} names no test`);
    for (const file of files) assert.ok(existsSync(join(root, 'test', file)), `${title}: there is no test/${file}`);
  }
});

test('what docs/boundary.md names is there, and each kind of message is in it', () => {
  const page = read('docs/boundary.md');
  const named = [...page.matchAll(/`((?:src|test)\/[\w./-]+)`/g)].map((match) => match[1] ?? '');
  assert.ok(named.length > 40);
  for (const path of named) assert.ok(existsSync(join(root, path)), `there is no ${path}`);
  const kinds = [...read('src/protocol/check.ts').matchAll(/case '([\w-]+)':/g)].map((match) => match[1] ?? '');
  assert.ok(kinds.length > 10);
  for (const kind of kinds) assert.ok(page.includes(`\`${kind}\``), `${kind} is not in docs/boundary.md`);
  const fuzzed = read('test/fuzz/hostile.cjs');
  for (const kind of kinds) assert.match(fuzzed, new RegExp(`^  '?${kind}'?: \\(\\)`, 'm'), `${kind} is not fuzzed`);
});
