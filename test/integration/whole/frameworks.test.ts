/** Apps as newcomers write them, none of which knows of prefork: each starts, serves, reloads and stops. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { stopClean } from '../../support/invariants.ts';
import { type Load, startLoad } from '../../support/load/child.ts';
import { type Group, table, total } from '../../support/load/mix.ts';
import { fixture } from '../../support/paths.ts';
import { listeningOn } from '../../support/proc.ts';
import { RawSocket } from '../../support/raw.ts';
import { freePort, requestJson, type Target } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const http1: readonly Group[] = [
  { kind: 'busy', path: '/', clients: 2 },
  { kind: 'idle', path: '/', clients: 6 },
  { kind: 'fresh', path: '/', clients: 2 },
  { kind: 'slow', path: '/slow?ms=100', clients: 4 },
];

/** Old workers leave soon: the clients here come back within a tenth of a second. */
const config = { drainLinger: '500ms' };

/** HTTP/1 servers: how each is given, and what it says it is. */
const apps: readonly (readonly [string, string, string])[] = [
  ['Express, listening by itself (CommonJS, main-module guard)', 'express/app.cjs', 'express'],
  ['Express, exported', 'express/export.mjs', 'express'],
  ['Express in TypeScript that has to be compiled', 'express/app.ts', 'express'],
  ['TypeScript that only needs its types stripped', 'typescript/server.ts', 'node:http in TypeScript'],
  ['Fastify, listening by itself (top-level await)', 'fastify/listen.mjs', 'fastify'],
  ['Fastify, exported', 'fastify/export.mjs', 'fastify'],
  ['Koa, listening by itself', 'koa/listen.mjs', 'koa'],
  ['Koa, exported', 'koa/export.mjs', 'koa'],
  ['Hono, exported', 'hono/fetch.mjs', 'hono'],
  ['Hono, exported as { fetch }', 'hono/fetch-object.mjs', 'hono'],
  ['Hono, served by its node-server', 'hono/serve.mjs', 'hono'],
  ['a handler, exported by default (ES module)', 'node/handler.mjs', 'node'],
  ['a handler, module.exports', 'node/handler.cjs', 'node'],
  ['an async factory, by its name', 'node/factory.mjs:createApp', 'node'],
  ['an http.Server, exported', 'node/server-export.mjs', 'node'],
  ['ws beside HTTP', 'websocket/ws.mjs', 'node'],
  ['Socket.IO beside HTTP', 'websocket/socket-io.mjs', 'node'],
];

/** Two reloads under load, after each of which every new worker must be heard from; nothing may be lost. */
async function reloadUnderLoad(supervisor: Supervisor, load: Load): Promise<void> {
  const old = supervisor.workers();
  for (let reload = 1; reload <= 2; reload++) {
    assert.match((await supervisor.reload()).msg, / done /, supervisor.describe());
    await load.further(50);
  }
  const fresh = await supervisor.waitWorkers(2);
  await load.heardFrom(fresh);
  assert.ok(fresh.every((pid) => !old.includes(pid)));
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, `requests were lost:\n${table(report)}`);
}

describe('frameworks, unmodified', () => {
  for (const [what, path, framework] of apps) {
    it(what, async (t) => {
      const supervisor = await startSupervisor(t, { app: fixture(path), workers: 2, config });
      await supervisor.waitReady();
      assert.equal((await requestJson(supervisor.target, '/')).framework, framework);
      assert.equal((await requestJson(supervisor.target, '/slow?ms=20&id=7')).framework, framework);
      await reloadUnderLoad(supervisor, startLoad(t, { target: supervisor.target, groups: http1 }));
      await stopClean(supervisor);
    });
  }

  it('Hono: a request body goes through fetch', async (t) => {
    const supervisor = await startSupervisor(t, { app: fixture('hono/fetch.mjs'), workers: 1 });
    await supervisor.waitReady();
    const body = 'ä'.repeat(200_000);
    const answer = await fetch(`http://127.0.0.1:${supervisor.port}/echo`, { method: 'POST', body });
    assert.equal(await answer.text(), body);
    await stopClean(supervisor);
  });
});

describe('what listens, unmodified', () => {
  /** Starts an app that chooses its own address. */
  const own = (path: string, env: Readonly<Record<string, string>>): SupervisorOptions => ({
    app: fixture(path),
    bind: null,
    workers: 2,
    config,
    env,
  });

  async function serve(
    t: Parameters<typeof startSupervisor>[0],
    options: SupervisorOptions,
    target: (supervisor: Supervisor) => Target,
  ): Promise<Supervisor> {
    const supervisor = await startSupervisor(t, options);
    await supervisor.waitReady();
    await reloadUnderLoad(supervisor, startLoad(t, { target: target(supervisor), groups: http1 }));
    return supervisor;
  }

  it('two ports: both keep their sockets over a reload', async (t) => {
    const [port, admin] = [await freePort(), await freePort()];
    const options = own('node/two-ports.mjs', { PORT: String(port), ADMIN_PORT: String(admin) });
    const supervisor = await startSupervisor(t, options);
    await supervisor.waitReady();
    const sockets = [listeningOn(port), listeningOn(admin)].map((each) => each.map(({ inode }) => inode));
    assert.ok(sockets.every((inodes) => inodes.length > 0));
    await reloadUnderLoad(supervisor, startLoad(t, { target: { port }, groups: http1 }));
    assert.equal((await requestJson({ port: admin }, '/')).admin, true);
    assert.equal((await requestJson({ port }, '/')).admin, undefined);
    const after = [listeningOn(port), listeningOn(admin)].map((each) => each.map(({ inode }) => inode));
    assert.deepEqual(after, sockets);
    await stopClean(supervisor, { ports: [port, admin] });
  });

  it('port 0: one port for all workers, kept over reloads and kills', async (t) => {
    const file = join(process.env.TMPDIR ?? '/tmp', `prefork-port-${process.pid}`);
    const options = own('node/port-zero.mjs', { PORT_FILE: file });
    const supervisor = await startSupervisor(t, options);
    await supervisor.waitReady();
    const port = Number(readFileSync(file, 'utf8'));
    await reloadUnderLoad(supervisor, startLoad(t, { target: { port }, groups: http1 }));
    for (const pid of supervisor.workers()) process.kill(pid, 'SIGKILL');
    await until('an answer after the kills', async () => (await requestJson({ port }, '/')).pid);
    await supervisor.waitWorkers(2);
    // A worker that starts writes the file anew.
    await until('every worker to say the same port', () => Number(readFileSync(file, 'utf8')) === port);
    await stopClean(supervisor, { ports: [port] });
  });

  it('a unix socket the app names itself', async (t) => {
    const socketPath = join(process.env.TMPDIR ?? '/tmp', `prefork-own-${process.pid}.sock`);
    const supervisor = await serve(t, own('node/unix.mjs', { SOCKET_PATH: socketPath }), () => ({ socketPath }));
    await stopClean(supervisor, { gone: [socketPath] });
  });

  it('the app’s own port where nothing else is said', async (t) => {
    const port = await freePort();
    const supervisor = await serve(t, own('koa/listen.mjs', { PORT: String(port) }), () => ({ port }));
    await stopClean(supervisor, { ports: [port] });
  });

  it('https', async (t) => {
    const supervisor = await serve(
      t,
      { app: fixture('node/https.mjs'), workers: 2, secure: true },
      ({ target }) => target,
    );
    await stopClean(supervisor);
  });

  for (const [what, path, secure] of [
    ['HTTP/2 in plain text', 'node/http2-plain.mjs', false],
    ['HTTP/2 over TLS', 'node/http2-secure.mjs', true],
  ] as const) {
    it(`${what}: sessions move to the new workers by GOAWAY`, async (t) => {
      const supervisor = await startSupervisor(t, { app: fixture(path), workers: 2, secure });
      await supervisor.waitReady();
      const groups: Group[] = [
        { kind: 'http2', name: 'busy', path: '/', clients: 4 },
        { kind: 'http2', name: 'idle', path: '/', clients: 4, think: 60 },
        { kind: 'http2', name: 'slow', path: '/slow?ms=100', clients: 4 },
      ];
      if (secure) groups.push(...http1);
      await reloadUnderLoad(supervisor, startLoad(t, { target: supervisor.target, groups }));
      await stopClean(supervisor);
    });
  }

  it('a bare TCP server', async (t) => {
    const supervisor = await startSupervisor(t, { app: fixture('node/net-echo.mjs'), workers: 2 });
    await supervisor.waitReady();
    const echo = async (): Promise<number> => {
      const socket = await RawSocket.connected(supervisor.target);
      const pid = Number((await socket.waitFor(/^(\d+)\n/))[1]);
      socket.write('hello\n');
      await socket.waitFor(/hello\n/);
      socket.finish();
      assert.equal(await socket.waitEnd(), 'fin');
      return pid;
    };
    const old = supervisor.workers();
    assert.ok(old.includes(await echo()));
    assert.match((await supervisor.reload()).msg, / done /);
    const fresh = await supervisor.waitWorkers(2);
    assert.ok(fresh.every((pid) => !old.includes(pid)));
    assert.ok(fresh.includes(await echo()));
    await stopClean(supervisor);
  });
});

describe('WebSockets, unmodified', () => {
  it('ws: messages over a reload, then a new connection gets a new worker', async (t) => {
    const app = fixture('websocket/ws.mjs');
    const supervisor = await startSupervisor(t, { app, workers: 2, config: { gracefulTimeout: '10s' } });
    await supervisor.waitReady();
    const old = supervisor.workers();
    const echo = async (socket: WebSocket, text: string): Promise<number> => {
      socket.send(text);
      const signal = AbortSignal.timeout(stretched(10_000));
      const [data] = (await once(socket, 'message', { signal })) as [Buffer];
      const answer = JSON.parse(data.toString()) as { pid: number; echo: string };
      assert.equal(answer.echo, text);
      return answer.pid;
    };
    const socket = new WebSocket(`ws://127.0.0.1:${supervisor.port}/`);
    const closed = once(socket, 'close');
    await once(socket, 'open');
    const pid = await echo(socket, 'before');
    assert.ok(old.includes(pid));

    assert.match((await supervisor.reload()).msg, / done /);
    // On a slow machine it may have been told to go by now, which takes a second at least.
    const during = await Promise.race([echo(socket, 'during the drain'), closed.then(() => pid)]);
    assert.equal(during, pid);
    const second = new WebSocket(`ws://127.0.0.1:${supervisor.port}/`);
    await once(second, 'open');
    assert.ok(!old.includes(await echo(second, 'after')));
    // The first one is let go at the graceful timeout at the latest, and its worker with it.
    await closed;
    await supervisor.waitWorkers(2, stretched(10_000));
    second.close();
    await once(second, 'close');
    await stopClean(supervisor);
  });

  it('Socket.IO: a client reconnects to a new worker by itself', async (t) => {
    const app = fixture('websocket/socket-io.mjs');
    const supervisor = await startSupervisor(t, { app, workers: 2, config: { gracefulTimeout: '1s' } });
    await supervisor.waitReady();
    const old = supervisor.workers();
    const client = io(`http://127.0.0.1:${supervisor.port}`, { transports: ['websocket'], reconnectionDelay: 50 });
    t.after(() => client.close());
    const echo = async (text: string): Promise<number> => {
      const answer = (await client.timeout(5_000).emitWithAck('echo', text)) as { pid: number; echo: string };
      assert.equal(answer.echo, text);
      return answer.pid;
    };
    assert.ok(old.includes(await echo('before')));
    assert.match((await supervisor.reload()).msg, / done /);
    const pid = await until('an answer from a new worker', async () => {
      const each = await echo('after').catch(() => null);
      return each !== null && !old.includes(each) ? each : null;
    });
    assert.ok((await supervisor.waitWorkers(2)).includes(pid));
    client.close();
    await stopClean(supervisor);
  });
});
