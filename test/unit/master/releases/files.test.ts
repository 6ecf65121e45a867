/** Which files of a release count, and which changes are seen. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { changedSince, folderOf, snapshotOf } from '../../../../src/master/releases/files.ts';
import { identityOf } from '../../../../src/master/releases/identity.ts';
import { load, project, write } from '../../../support/config-harness.ts';

const manifest = JSON.stringify({ name: 'shop', version: '1.2.3' });

describe('the files of a release', () => {
  it('are code, templates and manifests, not packages and not data', async (t) => {
    const folder = project(t, {
      'package.json': manifest,
      'dist/server.js': '',
      'dist/package.json': '{"type":"module"}',
      'src/a.ts': '',
      'views/index.ejs': '',
      'config/production.json': '{}',
      'data/state.json': '{}',
      'tmp/x.js': '',
      '.git/hooks/x.js': '',
      '.env': '',
      'node_modules/a/index.js': '',
      'node_modules/.package-lock.json': '{}',
      'readme.md': '',
    });
    const app = join(folder, 'dist/server.js');
    assert.equal(folderOf(app), folder, 'a package.json without version and scripts is of the build');
    assert.deepEqual(
      [...(await snapshotOf(app)).keys()].sort(),
      [
        ...['.env', 'app.cjs', 'config/production.json', 'dist/package.json', 'dist/server.js'],
        ...['node_modules/.package-lock.json', 'package.json', 'src/a.ts', 'views/index.ejs'],
      ].sort(),
    );
  });

  it('are bounded, and the nearest ones are looked at', async (t) => {
    const files = Object.fromEntries(Array.from({ length: 2_100 }, (_, index) => [`lib/${index}.js`, '']));
    const folder = project(t, { ...files, 'near.js': '' });
    const seen = await snapshotOf(join(folder, 'app.cjs'), folder);
    assert.equal(seen.size, 2_000);
    assert.ok(seen.has('near.js'));
  });

  it('have changed if they were written, replaced or removed; new ones do not count', async (t) => {
    const folder = project(t, { 'a.js': '1', 'b.js': '1', 'c.js': '1', 'd.js': '1' });
    const before = await snapshotOf(join(folder, 'app.cjs'), folder);
    assert.equal((await changedSince(before, folder)).size, 0);
    writeFileSync(join(folder, 'a.js'), '22');
    writeFileSync(join(folder, 'new'), '1');
    renameSync(join(folder, 'new'), join(folder, 'b.js'));
    rmSync(join(folder, 'c.js'));
    write(folder, { 'e.js': '1' });
    assert.deepEqual([...(await changedSince(before, folder)).keys()].sort(), ['a.js', 'b.js', 'c.js']);
  });

  it('may be in a folder that is gone altogether', async (t) => {
    const folder = project(t, { 'r1/app.js': '' });
    const before = await snapshotOf(join(folder, 'r1/app.js'));
    rmSync(join(folder, 'r1'), { recursive: true });
    assert.deepEqual([...(await changedSince(before, join(folder, 'r1'))).values()], [{ now: 'gone', at: 0 }]);
    mkdirSync(join(folder, 'r1'));
    assert.equal((await snapshotOf(join(folder, 'r1/app.js'))).size, 0);
  });
});

describe('which release it is', () => {
  it('is APP_VERSION of the environment that the workers get, else what the package.json says', async (t) => {
    const folder = project(t, { 'package.json': manifest, 'service.env': 'APP_VERSION=from-the-file' });
    const versionWith = async (flags: Record<string, unknown>, env: Record<string, string> = {}) =>
      identityOf(await load(folder, { flags: { app: 'app.cjs', ...flags }, env })).version;
    assert.equal(await versionWith({}), '1.2.3');
    assert.equal(await versionWith({}, { APP_VERSION: '2.0.0' }), '2.0.0');
    assert.equal(await versionWith({}, { APP_VERSION: ' ' }), '1.2.3');
    assert.equal(await versionWith({ envFile: 'service.env' }, { APP_VERSION: '2.0.0' }), 'from-the-file');
    assert.equal(await versionWith({ env: ['APP_VERSION=3.0.0'] }, { APP_VERSION: '2.0.0' }), '3.0.0');
    assert.equal((await versionWith({ env: [`APP_VERSION=${'x'.repeat(5_000)}`] }))?.length, 100);
  });
});
