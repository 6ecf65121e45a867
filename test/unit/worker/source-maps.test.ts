/** Where a stuck worker's lines come from: what looks for a map may not itself keep the worker busy. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { SourceMaps } from '../../../src/worker/source-maps.ts';
import { stretched } from '../../support/slowness.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-maps-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

describe('source maps', () => {
  for (const [what, text] of [
    ['lines without a map', 'x = 1;\n'.repeat(20_000)],
    ['one long line', 'x=1;'.repeat(40_000)],
    ['comments that almost name one', '//# sourceMappingUR\n'.repeat(8_000)],
    ['a comment of spaces', `//#${' '.repeat(150_000)}`],
  ] as const) {
    it(`are looked for in no time in a large bundle that has none: ${what}`, (t) => {
      const file = join(folder(t), 'bundle.mjs');
      writeFileSync(file, text);
      const startedAt = performance.now();
      assert.equal(new SourceMaps().place(file, 2, 3), `${file}:2:3`);
      assert.ok(performance.now() - startedAt < stretched(500));
    });
  }

  it('are named by the last of several comments, as a bundler leaves those of its inputs', (t) => {
    const home = folder(t);
    const file = join(home, 'bundle.mjs');
    writeFileSync(file, 'x();\n//# sourceMappingURL=input.map\ny();\n//# sourceMappingURL=bundle.map\n');
    // One segment: line 1, column 1 comes from line 1, column 1 of the first source.
    const map = { version: 3, sources: ['source.ts'], names: [], mappings: 'AAAA' };
    writeFileSync(join(home, 'bundle.map'), JSON.stringify(map));
    assert.equal(new SourceMaps().place(file, 1, 1), `${join(home, 'source.ts')}:1:1`);
  });
});
