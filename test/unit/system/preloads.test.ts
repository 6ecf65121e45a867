import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasPreloads, preloadFirst, splitFirst, withoutPreloads } from '../../../src/system/preloads.ts';

describe('what NODE_OPTIONS preloads', () => {
  test('is found in every spelling, and nothing else is', () => {
    for (const options of [
      '-r ./a.js',
      '--require=./a.js',
      '--import "file:///a b.mjs"',
      '--trace-warnings --loader x',
    ])
      assert.ok(hasPreloads(options), options);
    for (const options of [undefined, '', '--max-old-space-size=40', '--trace-warnings', '--import-meta'])
      assert.ok(!hasPreloads(options), options);
  });

  test('is taken out; the rest stays as it is', () => {
    assert.equal(
      withoutPreloads('--a=1 -r ./x.js --title="a b" --import=y --require "with \\"space.js" -c'),
      '--a=1 --title="a b" -c',
    );
    assert.equal(withoutPreloads('--require ./a.js'), '');
  });

  test('comes after ours, whatever our path is', () => {
    const path = '/a "b"\\c/agent.js';
    const options = '--require ./theirs.js';
    assert.deepEqual(splitFirst(preloadFirst(path, options)), { path, options });
    assert.equal(splitFirst('--require ./theirs.js'), null);
  });
});
