/** A main module that throws is evaluated once, whatever it is, and the app's own handlers of errors work as under node. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../../../support/paths.ts';
import { request } from '../../../support/request.ts';
import { until } from '../../../support/until.ts';
import { spawn, start } from '../../../support/worker-harness.ts';

const tsx = ['--import', pathToFileURL(`${root}/node_modules/tsx/dist/loader.mjs`).href];

const apps: readonly (readonly [name: string, app: string, nodeArgs: readonly string[]])[] = [
  ['CommonJS', 'main.cjs', []],
  ['CommonJS that nothing declares', 'untyped/main.js', []],
  ['an ES module', 'main.mjs', []],
  ['TypeScript under tsx', 'main.ts', tsx],
  ['CommonJS under --import', 'main.cjs', tsx],
  ['an ES module under --import', 'main.mjs', tsx],
];

for (const [name, file, nodeArgs] of apps) {
  describe(`${name} that throws at its end`, () => {
    const app = `worker/evaluated-once/${file}`;

    for (const how of ['on', 'once', 'prepended', 'captured']) {
      test(`and catches it (${how}) goes on and is served`, async () => {
        const worker = await start({ app, nodeArgs, env: { HOW: how } });
        assert.equal((await request({ port: worker.port() }, '/')).body, 'served');
        assert.equal(worker.output, 'evaluated\ncaught thrown at the end\n');
        assert.deepEqual(worker.all('failed'), []);
        assert.equal(worker.exit, null);
      });
    }

    test('and catches nothing has failed', async () => {
      const worker = spawn({ app, nodeArgs });
      const { kind, error } = await worker.waitFor('failed');
      assert.equal(kind, 'boot');
      // The app's own line comes first.
      assert.match(
        error.stack,
        new RegExp(`^(file://)?\\S*/${file}:\\d+\\n[\\s\\S]*Error: thrown at the end\\n +at .*${file}:`),
      );
      assert.deepEqual(await worker.waitExit(), { code: 1, signal: null });
      assert.equal(worker.output, 'evaluated\n');
      assert.deepEqual(worker.all('ready'), []);
    });

    test('tells its monitor, once', async () => {
      const worker = spawn({ app, nodeArgs, env: { HOW: 'monitor' } });
      await worker.waitFor('failed');
      await worker.waitExit();
      await until('its words', () => worker.output.includes('told'));
      assert.equal(worker.output, 'evaluated\ntold thrown at the end\n');
    });
  });
}
