/** Which worker is told of which folder for compiled code. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  type CacheSettings,
  cacheFor,
  compileCacheOf,
  supportsCompileCache,
} from '../../../../src/master/workers/compile-cache.ts';
import { project } from '../../../support/config-harness.ts';

const skip = supportsCompileCache() ? false : 'this Node has no compile cache';

function settings(t: TestContext, given: Partial<CacheSettings> = {}): CacheSettings & { readonly base: string } {
  const base = project(t);
  const path = join(base, 'app.cjs');
  const cache = join(base, 'cache');
  return {
    app: { given: path, path, named: path, exportName: null },
    compileCache: cache,
    env: {},
    identity: null,
    workers: 4,
    autoscale: null,
    base: cache,
    ...given,
  };
}

describe('the compile cache', { skip }, () => {
  it('is one folder for each release, in a private one', (t) => {
    const first = settings(t);
    const { folder } = compileCacheOf(first);
    assert.match(folder ?? '', /\/cache\/app\.cjs-[0-9a-f]{8}$/);
    assert.equal(statSync(first.base).mode & 0o777, 0o700);
    const path = join(first.base, '..', 'releases', '2', 'app.cjs');
    const second = compileCacheOf({ ...first, app: { ...first.app, path } });
    assert.notEqual(second.folder, folder);
    assert.equal(compileCacheOf(first).folder, folder, 'the same again');
  });

  it('is in the folder for temporary files by itself, or where systemd wants caches', (t) => {
    const temporary = project(t);
    const own = settings(t, { compileCache: 'auto' });
    const uid = process.geteuid?.() ?? 0;
    const { folder } = compileCacheOf(own, temporary);
    assert.ok(folder?.startsWith(join(temporary, `prefork-compile-cache-${uid}/`)), String(folder));
    const cache = project(t);
    const under = compileCacheOf({ ...own, env: { CACHE_DIRECTORY: `${cache}:/elsewhere` } }, temporary);
    assert.ok(under.folder?.startsWith(join(cache, 'prefork-compile-cache/')), String(under.folder));
  });

  it('is none where the setting says so, or the environment says anything', (t) => {
    assert.deepEqual(compileCacheOf(settings(t, { compileCache: 'none' })), { folder: null, reason: null });
    for (const name of ['NODE_COMPILE_CACHE', 'NODE_DISABLE_COMPILE_CACHE', 'NODE_V8_COVERAGE']) {
      const given = settings(t, { env: { [name]: '/somewhere' } });
      assert.deepEqual(compileCacheOf(given), { folder: null, reason: null }, name);
    }
  });

  it('is none, and says why, where nothing can be written', (t) => {
    const given = settings(t);
    writeFileSync(given.base, 'no folder');
    const { folder, reason } = compileCacheOf(given);
    assert.equal(folder, null);
    assert.match(reason ?? '', /is no folder$/);
    assert.match(compileCacheOf(settings(t, { compileCache: '/proc/nothing/here' })).reason ?? '', /ENOENT/);
  });

  it('is filled by one worker, and used by the others once there is something in it', (t) => {
    const given = settings(t);
    const first = cacheFor({ slot: 0, settings: given });
    assert.equal(first?.keeps, true);
    assert.equal(cacheFor({ slot: 1, settings: given }), null, 'nothing is there yet');
    mkdirSync(join(first?.folder ?? '', 'v1.2.3-x64-of-another-node'), { recursive: true });
    assert.equal(cacheFor({ slot: 1, settings: given }), null, 'nor for this Node');
    mkdirSync(join(first?.folder ?? '', `${process.version}-x64-1-0`));
    assert.deepEqual(cacheFor({ slot: 1, settings: given }), { folder: first?.folder, keeps: false });
    assert.equal(readdirSync(given.base).length, 1);
  });

  it('is filled at its exit by a worker that is alone', (t) => {
    assert.equal(cacheFor({ slot: 0, settings: settings(t, { workers: 1 }) })?.keeps, false);
  });
});
