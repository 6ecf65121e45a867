/** What a package.json says, whatever is in it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { entriesOf, manifestIn, manifestsOf, startScript } from '../../../src/system/manifest.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-manifest-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

describe('package.json', () => {
  it('says nothing if it is missing, broken, or no object', (t) => {
    const dir = folder(t);
    assert.equal(manifestIn(dir), null);
    for (const text of ['', '{', 'null', '"text"', '1']) {
      writeFileSync(join(dir, 'package.json'), text);
      assert.equal(manifestIn(dir), null, text);
    }
    rmSync(join(dir, 'package.json'));
    mkdirSync(join(dir, 'package.json'));
    assert.equal(manifestIn(dir), null, 'a folder');
  });

  it('is looked for from the file upwards; what cannot be read is passed over', (t) => {
    const dir = folder(t);
    const inner = join(dir, 'src/server');
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(dir, 'package.json'), '{"version":"1.2.3"}');
    writeFileSync(join(dir, 'src/package.json'), '{"type":"module"}');
    writeFileSync(join(inner, 'package.json'), 'null');
    const found = [...manifestsOf(join(inner, 'app.js'))];
    assert.deepEqual(found.slice(0, 2), [{ type: 'module' }, { version: '1.2.3' }]);
  });

  it('has a start script only if it is text', () => {
    assert.equal(startScript({ scripts: { start: 'node .' } }), 'node .');
    for (const scripts of [undefined, null, 0, 'start', [], {}, { start: 1 }])
      assert.equal(startScript({ scripts }), null);
  });
});

it('entries are what npm start gives to node or tsx, and the main file', () => {
  const entries: readonly (readonly [start: unknown, main: unknown, entries: readonly string[]])[] = [
    ['node server.js', undefined, ['./server.js']],
    ['NODE_ENV=production node --enable-source-maps ./dist/main.js --port 1', 'lib.js', ['./dist/main.js', './lib.js']],
    ['tsx src/app.ts', '', ['./src/app.ts']],
    ['next start', 'index.js', ['./index.js']],
    ['node --watch', 3, []],
    [undefined, undefined, []],
  ];
  for (const [start, main, expected] of entries) assert.deepEqual(entriesOf({ scripts: { start }, main }), expected);
});
