/** How a worker that cannot boot says why. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../../../support/paths.ts';
import { request } from '../../../support/request.ts';
import { until } from '../../../support/until.ts';
import { spawn, type WorkerOptions } from '../../../support/worker-harness.ts';

// Not a fixture: a file that cannot be parsed would stop every tool that reads the fixtures.
const directory = mkdtempSync(join(tmpdir(), 'prefork-worker-'));
const brokenJson = join(directory, 'broken.json');
writeFileSync(brokenJson, '{ not json');
after(() => rmSync(directory, { recursive: true, force: true }));

const tsx = ['--import', pathToFileURL(`${root}/node_modules/tsx/dist/loader.mjs`).href];

describe('BAD: a worker that fails before it is ready', () => {
  const cases: readonly [string, WorkerOptions, 'load' | 'boot', RegExp][] = [
    ['a syntax error in an ES module', { app: 'broken/syntax.mjs' }, 'load', /syntax\.mjs:\d+\n[\s\S]*SyntaxError/],
    ['a syntax error in TypeScript', { app: 'broken/syntax.ts', nodeArgs: tsx }, 'load', /syntax\.ts/],
    ['a module that is missing', { app: 'broken/missing-module.mjs' }, 'load', /ERR_MODULE_NOT_FOUND/],
    ['an import that is not exported', { app: 'broken/missing-export.mjs' }, 'load', /SyntaxError.*does not provide/],
    [
      'a JSON file that is none',
      { app: 'worker/fails.cjs', env: { HOW: 'require-json', JSON_FILE: brokenJson } },
      'load',
      /SyntaxError.*JSON/,
    ],
    [
      'a file type nobody knows',
      { app: 'worker/fails.unknown' },
      'load',
      /MODULE_NOT_FOUND|ERR_UNKNOWN_FILE_EXTENSION/,
    ],
    ['a throw', { app: 'worker/fails.cjs', env: { HOW: 'throw' } }, 'boot', /Error: outer/],
    [
      'bad data, which is no syntax error of the app',
      { app: 'worker/fails.cjs', env: { HOW: 'parse' } },
      'boot',
      /SyntaxError/,
    ],
    ['a throw of something else', { app: 'worker/fails.cjs', env: { HOW: 'string' } }, 'boot', /'just a string'/],
    ['a throw later on', { app: 'worker/fails.cjs', env: { HOW: 'later' } }, 'boot', /TypeError: thrown later/],
    ['a rejection in an ES module', { app: 'broken/rejects.mjs' }, 'boot', /Error/],
    ['a rejection nobody handles', { app: 'broken/rejects-later.cjs' }, 'boot', /Error/],
  ];
  for (const [name, options, kind, expected] of cases) {
    test(`${name}: ${kind}, and not a word of its own`, async () => {
      const worker = spawn(options);
      const failed = await worker.waitFor('failed');
      assert.equal(failed.kind, kind);
      assert.match(failed.error.stack, expected);
      assert.deepEqual(await worker.waitExit(), { code: 1, signal: null });
      assert.equal(worker.output, '');
      assert.deepEqual(worker.all('ready'), []);
    });
  }

  test('is reported as Node prints it: the line, the cause, the properties', async () => {
    const worker = spawn({ app: 'worker/fails.cjs', env: { HOW: 'throw' } });
    const { error } = await worker.waitFor('failed');
    const file = `${root}test/fixtures/worker/fails.cjs`;
    assert.ok(error.stack.startsWith(`${file}:`), error.stack);
    assert.match(error.stack, /\n {4}throw Object\.assign\(new Error\('outer'.*\n +\^\n\nError: outer\n/);
    assert.match(error.stack, /\[cause\]: Error: the cause/);
    assert.match(error.stack, /detail: 'own property'/);
    assert.equal(error.name, 'Error');
    assert.equal(error.message, 'outer');
  });

  test('an app that ends by itself has its own words and status', async () => {
    const worker = spawn({ app: 'worker/fails.cjs', env: { HOW: 'exit' } });
    assert.deepEqual(await worker.waitExit(), { code: 7, signal: null });
    assert.deepEqual(worker.all('failed'), []);
  });

  test('an app that catches its own errors goes on', async () => {
    const worker = spawn({ app: 'worker/fails.cjs', env: { HOW: 'caught' } });
    await until('the app to catch it', () => worker.output.includes('caught the app lives on'));
    assert.deepEqual(worker.all('failed'), []);
    assert.equal(worker.exit, null);
  });
});

describe('a worker that fails after it was ready', () => {
  test('tells the master why, prints and dies as under node', async () => {
    const worker = spawn({ app: 'worker/fails.cjs', env: { HOW: 'after', AFTER: '300' } });
    await worker.waitFor('ready');
    const { kind, error } = await worker.waitFor('failed');
    assert.equal(kind, 'boot');
    assert.match(error.stack, /thrown after ready/);
    assert.deepEqual(await worker.waitExit(), { code: 1, signal: null });
    assert.match(worker.output, /exit listener ran/);
    assert.match(worker.output, /Error: thrown after ready[\s\S]*Node\.js v/);
  });

  test('does not, where the app lives on', async () => {
    const worker = spawn({ app: 'worker/fails.cjs', env: { HOW: 'caught-after', AFTER: '200' } });
    await worker.waitFor('ready');
    await until('the app to catch it', () => worker.output.includes('caught'));
    assert.equal((await request({ port: worker.port() }, '/')).body, 'up');
    assert.deepEqual(worker.all('failed'), []);
  });
});
