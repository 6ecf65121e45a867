/** What the app finds of the process it is in, and which of its exports are served. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { request, requestJson } from '../../../support/request.ts';
import { stays, until } from '../../../support/until.ts';
import { loopback, spawn, start, type WorkerUnderTest } from '../../../support/worker-harness.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const tsx = ['--import', pathToFileURL(`${root}/node_modules/tsx/dist/loader.mjs`).href];

async function bodyOf(worker: WorkerUnderTest, path = '/'): Promise<string> {
  return (await request({ port: worker.port() }, path)).body;
}

describe('an app as its own entrypoint', () => {
  test('CommonJS: argv, require.main, env, execArgv and what it forks are as under node', async () => {
    const worker = await start({
      app: 'worker/who.cjs',
      args: ['--flag', 'a b'],
      env: { NODE_OPTIONS: '--trace-warnings' },
    });
    const who = await requestJson({ port: worker.port() }, '/');
    assert.deepEqual(who.argv, [`${root}test/fixtures/worker/who.cjs`, '--flag', 'a b']);
    assert.equal(who.isMain, true);
    assert.equal(who.mainModule, true);
    assert.deepEqual(who.env, []);
    assert.deepEqual(who.execArgv, []);
    assert.equal(who.child, 'child undefined');
    assert.equal(who.title, 'prefork: worker 3 [test]');
    assert.equal(worker.output, '');
  });

  test('options for node are kept; those that start the agent are not seen', async () => {
    const worker = await start({ app: 'worker/who.cjs', nodeArgs: ['--no-deprecation'] });
    const who = await requestJson({ port: worker.port() }, '/');
    assert.deepEqual(who.execArgv, ['--no-deprecation']);
  });

  test('ES module: it is ready when top-level await is over, not when it listens', async () => {
    const worker = await start({ app: 'worker/who.mjs', env: { LATE: '300' } });
    const who = await requestJson({ port: worker.port() }, '/');
    assert.equal(who.evaluated, true);
    assert.deepEqual(who.argv, [`${root}test/fixtures/worker/who.mjs`]);
    assert.equal(who.mainModule, null);
    if (major >= 24) assert.equal(who.isMain, true);
  });

  test('TypeScript under tsx: evaluated once, its export served, its stack traces mapped', async () => {
    const worker = await start({ app: 'worker/who.ts', nodeArgs: tsx });
    const who = await requestJson({ port: worker.port() }, '/');
    assert.equal(who.evaluations, 1);
    assert.deepEqual(who.argv, [`${root}test/fixtures/worker/who.ts`]);
    assert.match(String(who.stack), /at Server\.handler \(\S*who\.ts:17:/);
  });

  test('CommonJS under --import is still the main module', async () => {
    const worker = await start({ app: 'worker/who.cjs', nodeArgs: tsx });
    const who = await requestJson({ port: worker.port() }, '/');
    assert.equal(who.isMain, true);
  });

  test('ES module syntax that nothing declares', { skip: major < 22 || (major === 22 && minor < 7) }, async () => {
    const worker = await start({ app: 'worker/ambiguous/server.js' });
    assert.equal(await bodyOf(worker), 'ambiguous');
  });

  test('an app with nothing left to do ends, message listeners or not', async () => {
    const worker = spawn({ app: 'worker/ends.cjs' });
    assert.deepEqual(await worker.waitExit(), { code: 0, signal: null });
    assert.equal(worker.output, 'done\n');
  });
});

describe('exports', () => {
  const whole: readonly [string, RegExp][] = [
    ['node/handler.mjs', /"framework":"node"/],
    ['node/handler.cjs', /"framework":"node"/],
    ['node/server-export.mjs', /"framework":"node"/],
    ['express/export.mjs', /"framework":"express"/],
    ['koa/export.mjs', /"framework":"koa"/],
    ['fastify/export.mjs', /"framework":"fastify"/],
    ['hono/fetch.mjs', /"framework":"hono"/],
    ['hono/fetch-object.mjs', /"framework":"hono"/],
    ['worker/interop.cjs', /^interop$/],
  ];
  for (const [app, expected] of whole) {
    test(`${app} is served on the default address`, async () => {
      const worker = await start({ app });
      assert.match(await bodyOf(worker), expected);
      assert.deepEqual(
        worker.all('listen').map(({ bound }) => bound),
        [false],
      );
    });
  }

  test('and on the configured address, where there is one', async () => {
    for (const app of ['express/export.mjs', 'fastify/export.mjs', 'node/server-export.mjs']) {
      const worker = await start({ app, bind: [loopback] });
      assert.match(await bodyOf(worker), /framework/);
      assert.deepEqual(
        worker.all('listen').map(({ bound }) => bound),
        [true],
      );
    }
  });

  const neither = 'neither listens nor exports something to serve; it exports';

  test('an app that exports nothing to serve, and has nothing left to do, is told what it exports', async () => {
    const worker = spawn({ app: 'worker/named-only.cjs' });
    const { kind, error } = await worker.waitFor('failed');
    assert.equal(kind, 'boot');
    assert.equal(error.message, `worker/named-only.cjs ${neither}: config, app (prefork worker/named-only.cjs:app ?)`);
    assert.equal(error.stack, error.message);
    // As under node, where it ends and nothing is wrong with that.
    assert.deepEqual(await worker.waitExit(), { code: 0, signal: null });
    assert.equal(worker.output, '');
  });

  test('one that finds more to do at its end is not', async () => {
    const worker = await start({ app: 'worker/named-only.cjs', env: { HOW: 'at its end' } });
    assert.equal(await bodyOf(worker), 'late');
    assert.deepEqual(worker.all('failed'), []);
  });

  test('a promise that is exported is awaited; its rejection is a failed boot', async () => {
    assert.equal(await bodyOf(await start({ app: 'worker/promised.cjs' })), 'promised');
    const worker = spawn({ app: 'worker/promised.cjs', env: { HOW: 'reject' } });
    assert.match((await worker.waitFor('failed')).error.stack, /Error: no database/);
  });

  const named: readonly [string, RegExp][] = [
    ['text', /^handler$/],
    ['server', /^server$/],
    ['createServer', /^made server$/],
    ['createAsync', /^made handler$/],
    ['createFew', /^made handler of few parameters$/],
    ['own', /^own 0 127\.0\.0\.1$/],
  ];
  for (const [exportName, expected] of named) {
    test(`the export "${exportName}" by its name`, async () => {
      const worker = await start({ app: 'worker/exports.mjs', exportName, bind: [loopback] });
      assert.match(await bodyOf(worker), expected);
      assert.equal(worker.all('listen')[0]?.bound, true);
    });
  }

  test('a named export of a CommonJS app: its guard does not fire', async () => {
    const worker = await start({ app: 'worker/guarded.cjs', exportName: 'createApp', bind: [loopback] });
    assert.equal(await bodyOf(worker), `guarded, main: false ${root}test/fixtures/worker/guarded.cjs`);
    assert.equal(worker.all('listen').length, 1);
  });

  test('a named export of TypeScript under tsx', async () => {
    const worker = await start({ app: 'worker/who.ts', exportName: 'default', nodeArgs: tsx });
    const who = await requestJson({ port: worker.port() }, '/');
    assert.equal(who.evaluations, 1);
    assert.deepEqual(who.argv, [`${root}test/fixtures/worker/who.ts`]);
  });

  const unusable: readonly [string, RegExp][] = [
    ['missing', /has no export named "missing"\. It exports: .*createServer.*text/],
    ['App', /export "App" is a class, which cannot be served/],
    ['settings', /export "settings" is an object, which cannot be served/],
    ['createNothing', /export "createNothing" is a function that returns nothing that can be served/],
  ];
  for (const [exportName, expected] of unusable) {
    test(`the export "${exportName}" cannot be served, and the app counts as one that cannot be loaded`, async () => {
      const worker = spawn({ app: 'worker/exports.mjs', exportName });
      const { kind, error } = await worker.waitFor('failed');
      assert.equal(kind, 'load');
      assert.match(error.message, expected);
      assert.deepEqual(await worker.waitExit(), { code: 1, signal: null });
      assert.equal(worker.output, '');
    });
  }

  test('a factory that throws is a failed boot', async () => {
    const worker = spawn({ app: 'worker/exports.mjs', exportName: 'throwing' });
    const { kind, error } = await worker.waitFor('failed');
    assert.equal(kind, 'boot');
    assert.match(error.stack, /the factory fails/);
  });
});

describe('an app that listens by itself and exports something too', () => {
  test('is waited for while it is busy', async () => {
    const worker = await start({ app: 'worker/late.cjs', env: { CONNECT_MS: '400' }, bind: [loopback] });
    assert.equal(await bodyOf(worker), 'own');
    assert.equal(worker.all('listen').length, 1);
  });

  test('takes over where it listens later than that', async () => {
    const worker = await start({ app: 'worker/late.cjs', env: { CONNECT_MS: '1600' }, bind: [loopback] });
    assert.equal(await bodyOf(worker), 'exported');
    const kept = await RawSocket.connected({ port: worker.port() });
    await kept.write(head('/')).waitFor(/exported/);
    await until('the app to listen', () => worker.all('listen').length === 2);
    assert.equal(worker.all('listen')[1]?.bound, true);
    await until('the app to answer', async () => (await bodyOf(worker)) === 'own');
    await stays('all from the app', async () => (await bodyOf(worker)) === 'own', 200);
    // A connection that the stand-in has accepted stays good.
    await kept.write(head('/')).waitFor(/exported[\s\S]*exported/);
    assert.deepEqual(worker.all('unlisten'), []);
    kept.close();
  });

  test('and the address of its export is left, where it has another', async () => {
    const worker = await start({ app: 'worker/late.cjs', env: { CONNECT_MS: '1600' } });
    assert.equal(await bodyOf(worker), 'exported');
    const { listener } = await worker.waitFor('unlisten');
    assert.equal(listener, worker.listenerKeys[0]);
    assert.equal((await request({ port: worker.port(worker.listenerKeys[1]) }, '/')).body, 'own');
  });

  test('is not called as a factory while it is starting', async () => {
    const worker = await start({ app: 'worker/start.cjs', env: { CONNECT_MS: '1500' } });
    assert.equal(await bodyOf(worker), 'starts: 1');
  });
});

describe('fetch handlers', () => {
  test('method, url, body, repeated headers', async () => {
    const worker = await start({ app: 'worker/fetch.mjs' });
    const target = { port: worker.port() };
    const echo = await request(target, '/echo?a=1', {
      method: 'POST',
      body: 'x'.repeat(200_000),
      headers: { host: 'example.org' },
    });
    assert.equal(echo.body.length, 200_000);
    assert.equal(echo.headers['x-url'], 'http://example.org/echo?a=1');
    assert.equal(
      (await request(target, '//two/slashes?b', { headers: { 'x-twice': 'a, b' } })).body,
      'GET //two/slashes?b a, b',
    );
  });

  test('each cookie has its header; status text and an empty body', async () => {
    const worker = await start({ app: 'worker/fetch.mjs' });
    const raw = await RawSocket.connected({ port: worker.port() });
    raw.write(head('/cookies', { Connection: 'close' }));
    await raw.waitEnd();
    assert.match(raw.text, /^HTTP\/1\.1 201 Made\r\n/);
    assert.match(raw.text, /set-cookie: a=1; Path=\/\r\nset-cookie: b=2, and a comma\r\n/i);
  });

  test('streams both ways; HEAD has no body; a throw is a 500', async () => {
    const worker = await start({ app: 'worker/fetch.mjs' });
    const target = { port: worker.port() };
    const raw = await RawSocket.connected(target);
    await raw.write(head('/stream')).waitFor(/200 OK/);
    assert.doesNotMatch(raw.text, /part/);
    await raw.waitFor(/part 3/);
    assert.doesNotMatch(raw.text, /part 1/);
    await raw.waitFor(/part 1\n\r\n0\r\n\r\n/);
    raw.close();
    const answer = await request(target, '/x', { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal((await request(target, '/throw')).status, 500);
    await until('the error in the output', () => /thrown in fetch/.test(worker.output));
  });

  test('a client that leaves aborts the request', async () => {
    const worker = await start({ app: 'worker/fetch.mjs' });
    const raw = await RawSocket.connected({ port: worker.port() });
    raw.write(head('/hang'));
    await until('the request', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    raw.close();
    await until('the abort', () => worker.output.includes('aborted'));
    assert.equal(await bodyOf(worker, '/after'), 'GET /after null');
  });
});
