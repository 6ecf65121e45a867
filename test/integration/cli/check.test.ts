/** `prefork check`: the configuration and the app are tried, and nothing is served. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { bin, fixture, fromRoot } from '../../support/paths.ts';
import { markedWith } from '../../support/proc.ts';
import { freePort } from '../../support/request.ts';
import { until } from '../../support/until.ts';

interface Result {
  readonly code: number | null;
  readonly output: string;
}

async function check(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const mark = `check-${process.hrtime.bigint()}`;
  const child = spawn(process.env.PREFORK_TEST_NODE ?? process.execPath, [bin, 'check', ...args], {
    cwd: tmpdir(),
    // Something else may have the default port.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, PORT: String(await freePort()), ...env, RUN_ID: mark },
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  await until('no process to be left', () => markedWith(`RUN_ID=${mark}`).length === 0, { within: 5_000 });
  return { code, output };
}

describe('prefork check', () => {
  for (const app of ['app.cjs', 'express/export.mjs', 'fastify/listen.mjs', 'koa/export.mjs', 'node/two-ports.mjs']) {
    it(`takes ${app}, but not where another program has its address`, async (t) => {
      const server = createServer((_, response) => response.end('mine'));
      server.listen(0);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const env = { PORT: String(port) };
      const refused = await check(t, [fixture(app)], env);
      assert.equal(refused.code, 1, refused.output);
      assert.match(
        refused.output,
        new RegExp(
          `^prefork: cannot bind \\S+:${port}: address in use \\(EADDRINUSE\\)\nprefork: it is held by pid ${process.pid} \\(.*\\)\nprefork: stop that process`,
          'm',
        ),
      );
      server.close();
      await once(server, 'close');
      const { code, output } = await check(t, [fixture(app)], env);
      assert.equal(code, 0, output);
      assert.match(output, /^OK: \d+ workers for /m);
    });
  }

  const broken: readonly (readonly [app: string, code: number, says: RegExp])[] = [
    ['broken/syntax.mjs', 4, /the app cannot be loaded:\nprefork: .*syntax\.mjs:\d+[\s\S]*SyntaxError/],
    ['broken/syntax.ts', 4, /the app cannot be loaded:/],
    ['broken/missing-module.mjs', 4, /Cannot find (module|package)/],
    [
      'broken/exports-nothing.mjs',
      3,
      /exports-nothing\.mjs neither listens nor exports something to serve; it exports: app, default \(a number\)$/m,
    ],
    ['broken/throws.cjs', 3, /the app cannot be loaded:\nprefork: .*throws\.cjs/],
    ['broken/rejects.mjs', 3, /the app cannot be loaded:/],
    [
      'broken/exits.cjs',
      3,
      /^prefork: the app exited \(code 0\) before it listened: it called process\.exit\(\) at .*exits\.cjs:2:9$/m,
    ],
    ['broken/never-listens.mjs', 3, /did not listen within 2 s \(bootTimeout\)/],
  ];
  for (const [app, status, says] of broken) {
    it(`refuses ${app}`, async (t) => {
      const { code, output } = await check(t, [fixture(app), '--boot-timeout', app.includes('never') ? '2' : '60']);
      assert.match(output, says);
      assert.equal(code, status, output);
      assert.doesNotMatch(output, /bug in prefork/);
    });
  }

  it('touches nothing of the service: no log, no socket, no pidfile', async (t) => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-check-')));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const paths = ['access.log', 'error.log', 'app.pid', 'app.sock', 'app.ctl'].map((name) => join(dir, name));
    const [access = '', error = '', pidfile = '', socket = '', control = ''] = paths;
    const config = join(dir, 'supervisor.config.mjs');
    const settings = { accessLog: access, errorLog: error, pidfile, bind: `unix:${socket}`, controlSocket: control };
    writeFileSync(config, `export default ${JSON.stringify({ app: fixture('app.cjs'), ...settings })};`);
    const { code, output } = await check(t, ['-c', config]);
    assert.equal(code, 0, output);
    assert.deepEqual(
      paths.filter((path) => existsSync(path)),
      [],
    );
  });

  it('says of a health check that fails here that it does, and is content', async (t) => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-check-')));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const app = join(dir, 'app.mjs');
    const index = pathToFileURL(fromRoot('dist/index.js')).href;
    writeFileSync(
      app,
      `import { health } from ${JSON.stringify(index)};
       import http from 'node:http';
       health.check('database', () => { throw new Error('no route to host') });
       http.createServer().listen(3000);`,
    );
    const { code, output } = await check(t, [app]);
    assert.equal(code, 0, output);
    assert.match(output, /note: the app does not listen yet.*database \(.*no route to host/);
  });
});
