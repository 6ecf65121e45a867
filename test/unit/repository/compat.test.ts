/** The suites of test/compat: what is installed is pinned, what is listed is there, and reasons are not left over. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { frameworks } from '../../compat/frameworks/table.ts';
import { meansNothing } from '../../compat/node/report.ts';
import { flagsOf } from '../../compat/node/run-test.ts';
import { chooseTests, type SuiteResult, symptomOf } from '../../compat/node/suite.ts';
import { fromRoot } from '../../support/paths.ts';

interface Manifest {
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const home = fromRoot('test/compat/frameworks');

function manifestsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /(^|\/)package\.json$/.test(path));
}

describe('the frameworks of npm run compat', () => {
  it('are each in the table and in a folder', () => {
    const folders = readdirSync(home, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    assert.deepEqual(
      [...new Set(frameworks.map(({ folder }) => folder))].sort(),
      folders.map(({ name }) => name).sort(),
    );
    const titles = frameworks.map(({ title }) => title);
    assert.equal(new Set(titles).size, titles.length);
    assert.ok(frameworks.some(({ sample }) => sample === true));
  });

  it('are private packages of exact versions, and none of them is a dependency of prefork’s for their sake', () => {
    const found = manifestsBelow(home);
    assert.ok(found.length >= new Set(frameworks.map(({ folder }) => folder)).size);
    for (const path of found) {
      const manifest = JSON.parse(readFileSync(join(home, path), 'utf8')) as Manifest;
      assert.equal(manifest.private, true, path);
      for (const [name, version] of Object.entries(manifest.dependencies ?? {})) {
        assert.match(version, /^\d+\.\d+\.\d+$/, `${name} in ${path}`);
      }
    }
  });
});

describe('Node’s own tests', () => {
  it('get the flags that they name', () => {
    assert.deepEqual(flagsOf("'use strict';\n"), []);
    assert.deepEqual(flagsOf('// Flags: --expose-gc --no-warnings\n// Flags: --a=b\nrequire();'), [
      '--expose-gc',
      '--no-warnings',
      '--a=b',
    ]);
  });

  it('say nothing if most of them fail without prefork too', () => {
    const result = (failedBare: number): SuiteResult => ({
      counts: [
        { family: 'http', tests: 6, failedBare, same: 6 - failedBare, differs: 0 },
        { family: 'net', tests: 4, failedBare: 0, same: 4, differs: 0 },
      ],
      differences: [],
    });
    assert.equal(meansNothing(result(5)), false);
    assert.equal(meansNothing(result(6)), true);
  });

  it('are chosen by what they test, by words, or as a sample that is spread over all of them', (t) => {
    const tests = mkdtempSync(join(tmpdir(), 'prefork-compat-'));
    t.after(() => rmSync(tests, { recursive: true }));
    mkdirSync(join(tests, 'parallel'));
    const numbers = Array.from({ length: 20 }, (_, at) => `test-net-${String(at).padStart(2, '0')}.js`);
    for (const name of [...numbers, 'test-http2-ping.mjs', 'test-fs-open.js', 'test-net-data.json']) {
      writeFileSync(join(tests, 'parallel', name), '');
    }
    assert.deepEqual(chooseTests({ tests, words: [], sample: null }), ['test-http2-ping.mjs', ...numbers]);
    assert.deepEqual(chooseTests({ tests, words: ['07', 'ping'], sample: null }), [
      'test-http2-ping.mjs',
      'test-net-07.js',
    ]);
    const sample = chooseTests({ tests, words: ['net'], sample: 5 });
    assert.equal(sample.length, 5);
    assert.ok(Number(sample.at(-1)?.slice(9, 11)) >= 15);
  });

  it('show the line that says most when they fail', () => {
    assert.equal(
      symptomOf('node:assert:1\n\nAssertionError [ERR_ASSERTION]: 1 == 2\n    at x\nended with 1'),
      'AssertionError [ERR_ASSERTION]: 1 == 2',
    );
    assert.equal(symptomOf('\nended with 7'), 'ended with 7');
  });
});
