/** What a package.json says, whatever is in it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { manifestIn, manifestsOf, startScript } from '../../../src/system/manifest.ts';

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
