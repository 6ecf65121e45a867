/** Which requests have no line. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parsePathPattern } from '../../../../src/config/path-pattern.ts';
import { skipping } from '../../../../src/worker/access-log/skip.ts';

it('leaves out a path as it is, and what stars stand for', () => {
  const rows: readonly (readonly [pattern: string, skipped: readonly string[], logged: readonly string[]])[] = [
    [
      '/healthz',
      ['/healthz', '/healthz?x=1', '/healthz?', 'http://a.example/healthz', 'HTTP://a:8/healthz?y'],
      ['/', '/healthz/', '/health', '/HEALTHZ', '/a/healthz', '/a?/healthz', '/healthz%20'],
    ],
    ['/assets/*', ['/assets/', '/assets/a/b.css', '/assets/?x'], ['/assets', '/a/assets/x', '/?/assets/x']],
    ['*.css', ['/a.css', '/.css', '/a/b.css?v=1'], ['/a.css/b', '/x?a.css']],
    ['/a/*/b/*.js', ['/a/x/b/y.js', '/a//b/.js', '/a/b/b/b/x.js'], ['/a/b/x.js', '/a/x/b/y.ts']],
    ['/a*a', ['/aa', '/aba'], ['/a']],
    ['/a*ab*b', ['/aabb', '/axabxb'], ['/aab', '/aba']],
    ['*', ['/', '', '*', 'x', '/x?y'], []],
    ['/', ['/', '/?x', 'http://a.example', 'http://a.example?x'], ['/x', '']],
    ['/a**b', ['/ab', '/axb'], ['/a']],
    ['/a.c', ['/a.c'], ['/abc']],
    ['/[a]+$', ['/[a]+$'], ['/a']],
  ];
  for (const [pattern, skipped, logged] of rows) {
    const skips = skipping([pattern]);
    for (const url of skipped) assert.ok(skips(url), `${pattern} leaves out ${url}`);
    for (const url of logged) assert.ok(!skips(url), `${pattern} does not leave out ${url}`);
  }
  const several = skipping(['/healthz', '/assets/*', '*.map']);
  assert.deepEqual(
    ['/healthz', '/assets/x', '/x.map', '/x'].map((url) => several(url)),
    [true, true, true, false],
  );
});

it('costs little, whatever the path is', () => {
  const skips = skipping(Array.from({ length: 100 }, (_, at) => `/${'a*'.repeat(8)}${at}`));
  const start = performance.now();
  for (let round = 0; round < 100; round++) assert.equal(skips(`/${'a'.repeat(16_000)}`), false);
  assert.ok((performance.now() - start) / 100 < 10, 'milliseconds for one of 16,000 characters');
});

it('says what is wrong with a pattern', () => {
  const rows: Readonly<Record<string, RegExp>> = {
    '': /begins with neither/,
    healthz: /"healthz" begins with neither \/ nor \*/,
    '/a?b': /has a query/,
    '/a b': /white space/,
    '/a\n': /white space/,
    [`/${'x'.repeat(500)}`]: /at most 500 characters/,
    [`/${'*a'.repeat(9)}`]: /8 stars/,
  };
  for (const [pattern, says] of Object.entries(rows)) assert.match(String(parsePathPattern(pattern)), says, pattern);
});
