/** The command on a Node that is too old for it: one line, before anything is imported. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { transformSync } from 'esbuild';
import { bin, fromRoot } from '../../support/paths.ts';

const { refusalOf } = createRequire(import.meta.url)(fromRoot('bin/node-version.js')) as {
  readonly refusalOf: (version: string) => string | null;
};

describe('an old Node', () => {
  const refused: readonly (readonly [version: string, says: string])[] = [
    ['v0.12.18', 'prefork needs Node 20.19 or newer, this is v0.12.18'],
    ['v10.24.1', 'prefork needs Node 20.19 or newer, this is v10.24.1'],
    ['v18.20.8', 'prefork needs Node 20.19 or newer, this is v18.20.8'],
    ['v20.18.3', 'prefork needs Node 20.19 or newer, this is v20.18.3'],
    ['v21.7.3', 'prefork needs Node 20.19 or newer (of Node 22: 22.12), this is v21.7.3'],
    ['v22.11.0', 'prefork needs Node 20.19 or newer (of Node 22: 22.12), this is v22.11.0'],
  ];
  for (const [version, says] of refused) {
    it(`${version} is refused in one line, with nothing imported`, () => {
      // The script runs as it is; whatever it imported by itself would be seen by what it prints or by its status.
      const script = `Object.defineProperty(process, 'version', { value: '${version}' });
        process.argv.splice(1, 0, '${bin}'); require('${bin}');
        process.on('exit', () => console.log(Object.keys(require.cache).length))`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
      assert.deepEqual([status, stdout, stderr], [1, '3\n', `prefork: ${says}\n`]);
    });
  }

  it('a Node that is new enough is not', () => {
    for (const version of ['v20.19.0', 'v20.20.2', 'v22.12.0', 'v23.0.0', 'v24.1.0', 'v26.0.0', process.version])
      assert.equal(refusalOf(version), null, version);
  });

  it('can parse what says so', () => {
    for (const file of ['bin/prefork.js', 'bin/node-version.js', 'bin/unreadable.js']) {
      const source = readFileSync(fromRoot(file), 'utf8');
      // What esbuild lowers, or cannot lower, is newer than ES5.
      assert.equal(
        transformSync(source, { target: 'es5' }).code,
        transformSync(source, { target: 'esnext' }).code,
        file,
      );
      assert.doesNotMatch(source, /node:|import\s*\(/);
    }
    assert.equal(JSON.parse(readFileSync(fromRoot('bin/package.json'), 'utf8')).type, 'commonjs');
  });

  it('is what package.json refuses to be installed on', () => {
    const { engines } = JSON.parse(readFileSync(fromRoot('package.json'), 'utf8')) as { engines: { node: string } };
    assert.equal(engines.node, '^20.19.0 || >=22.12.0');
  });

  it('and a Node that cannot require() ES modules says so at once', () => {
    const { status, stderr } = spawnSync(process.execPath, ['--no-experimental-require-module', bin, '--version'], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(stderr, /^prefork: require\(\) of ES modules is switched off .*\n$/);
  });
});
