/** Every way to listen, with sockets of the master's. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Address } from '../../../src/config/address.ts';
import { bindHandle, type Handle, handleAddress } from '../../../src/system/node-internals.ts';
import { RawSocket } from '../../support/raw.ts';
import { request } from '../../support/request.ts';
import { until } from '../../support/until.ts';
import { cleanup, gone, loopback, spawn, start } from '../../support/worker-harness.ts';

function temporaryPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'prefork-worker-'));
  cleanup(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'app.sock');
}

function bindLoopback(): Handle {
  const handle = bindHandle('127.0.0.1', 0, 4, null, 0);
  assert.ok(typeof handle !== 'number');
  cleanup(() => handle.close());
  return handle;
}

function portOf(handle: Handle): number {
  return handleAddress(handle)?.port ?? 0;
}

/** @param timeout milliseconds; short where the answer is to be no */
async function serves(port: number, timeout = 500): Promise<boolean> {
  return await request({ port }, '/', { timeout }).then(
    () => true,
    () => false,
  );
}

describe('listen', () => {
  test("the app's address is asked for as the app said it", async () => {
    const worker = await start({ app: 'worker/http.cjs' });
    const [listen] = worker.all('listen');
    assert.deepEqual(listen?.query, { address: '127.0.0.1', port: 0, addressType: 4, fd: null, flags: 0 });
    assert.equal(listen?.bound, false);
    assert.match(worker.output, new RegExp(`"port":${worker.port()}`));
  });

  test('a configured address takes the place of the first; server.address() tells the real one', async () => {
    const worker = spawn({ app: 'worker/servers.mjs', bind: [loopback] });
    worker.refuse(4002, -constants.errno.EACCES);
    await until('the servers', () => worker.output.includes('done'));
    assert.match(worker.output, new RegExp(`"first":{"address":"127.0.0.1","family":"IPv4","port":${worker.port()}}`));
    const listens = worker.all('listen');
    assert.deepEqual(
      listens.map(({ bound }) => bound),
      [true, false, false, false, false],
    );
    assert.equal((await request({ port: worker.port() }, '/')).body, 'first');
  });

  test('several servers: ports 0 are told apart, `exclusive` and `reusePort` do not bypass the master, UDP is left to node:cluster', async () => {
    const worker = spawn({ app: 'worker/servers.mjs' });
    worker.refuse(4002, -constants.errno.EACCES);
    await worker.waitFor('ready');
    await until('the servers', () => worker.output.includes('done'));
    assert.match(worker.output, /"ports differ":true/);
    assert.match(worker.output, /"again":"EADDRINUSE"/);
    assert.match(worker.output, /"refused":"EACCES"/);
    assert.match(worker.output, /"udp":true/);
    const zeros = worker.all('listen').filter(({ query }) => query.port === 0);
    assert.deepEqual(
      zeros.map(({ ordinal }) => ordinal),
      [0, 1, 2],
    );
    await until('what was closed to be given back', () => worker.all('unlisten').length === 2);
  });

  test('a library that tries a port by listening on it does not use up the configured address', async () => {
    const worker = await start({ app: 'worker/probe.mjs', bind: [loopback] });
    assert.equal((await request({ port: worker.port() }, '/')).body, 'serving, true');
    assert.deepEqual(
      worker.all('listen').map(({ bound }) => bound),
      [true, true],
    );
  });

  test('an address in use fails the boot as it would under node', async () => {
    const worker = spawn({ app: 'worker/http.cjs', env: { PORT: '4003' } });
    worker.refuse(4003, -constants.errno.EADDRINUSE);
    const { kind, error } = await worker.waitFor('failed');
    assert.equal(kind, 'boot');
    assert.match(error.message, /EADDRINUSE.*127\.0\.0\.1:4003/);
    assert.deepEqual(await worker.waitExit(), { code: 1, signal: null });
  });

  test('a unix socket of the app, and one that is configured', async () => {
    const own = temporaryPath();
    const app = await start({ app: 'node/unix.mjs', env: { SOCKET_PATH: own } });
    assert.equal((await request({ socketPath: own }, '/')).status, 200);
    assert.equal(app.all('listen')[0]?.query.addressType, -1);

    const configured = temporaryPath();
    const worker = await start({ app: 'worker/http.cjs', bind: [{ kind: 'unix', path: configured }] });
    assert.equal((await request({ socketPath: configured }, '/')).body, 'hello');
    await until('its address', () => worker.output.includes(`listening "${configured}"`));
  });

  test('several configured addresses, of different kinds', async () => {
    const path = temporaryPath();
    const bind: Address[] = [{ kind: 'unix', path }, loopback];
    const worker = await start({ app: 'worker/http.cjs', bind });
    assert.equal((await request({ socketPath: path }, '/')).body, 'hello');
    assert.equal((await request({ port: worker.port('127.0.0.1:0#1') }, '/')).body, 'hello');
  });

  test('a descriptor', async () => {
    const handle = bindLoopback();
    const worker = await start({ app: 'worker/http.cjs', bind: [{ kind: 'fd', fd: handle.fd }] });
    assert.equal((await request({ port: portOf(handle) }, '/')).body, 'hello');
    await worker.stop();
  });

  for (const app of ['node/https.mjs', 'node/http2-secure.mjs']) {
    test(`${app} over TLS`, async () => {
      const worker = await start({ app, bind: [loopback] });
      assert.equal((await request({ port: worker.port(), secure: true }, '/')).status, 200);
    });
  }
});

describe('queues', () => {
  test('a server accepts from all of them', async () => {
    const worker = await start({ app: 'worker/http.cjs', queues: 3 });
    const [key = ''] = worker.listenerKeys;
    for (const handle of worker.handles(key)) {
      assert.equal((await request({ port: portOf(handle) }, '/')).body, 'hello');
    }
  });

  test("the server's options, limits and counts apply to all", async () => {
    const worker = await start({ app: 'worker/limits.mjs', queues: 2 });
    const [key = ''] = worker.listenerKeys;
    const [first, second] = worker.handles(key);
    assert.ok(first !== undefined && second !== undefined);
    const one = await RawSocket.connected({ port: portOf(second) });
    const two = await RawSocket.connected({ port: portOf(first) });
    const three = await RawSocket.connected({ port: portOf(second) });
    await until('the third to be dropped', () => worker.output.includes('dropped'));
    await three.waitEnd();
    two.finish();
    await two.waitFor(/half open, count 2, paused false/);
    one.finish();
    await one.waitFor(/half open/);
  });

  test('one is assigned, and taken away again', async () => {
    const worker = await start({ app: 'worker/http.cjs' });
    const [listener = ''] = worker.listenerKeys;
    const further = bindLoopback();
    worker.send({ type: 'assign', listener, queue: 1, backlog: 16 }, further);
    await until('the further queue to be served', () => serves(portOf(further)));
    // Twice is once.
    worker.send({ type: 'assign', listener, queue: 1, backlog: 16 }, further);
    worker.send({ type: 'unassign', listener, queue: 1 });
    await until('it not to be', async () => !(await serves(portOf(further))));
    assert.ok(await serves(worker.port(), 10_000));
  });

  test('the first can be taken away, the last cannot', async () => {
    const worker = await start({ app: 'worker/http.cjs', queues: 2 });
    const [listener = ''] = worker.listenerKeys;
    const [first, second] = worker.handles(listener);
    assert.ok(first !== undefined && second !== undefined);
    worker.send({ type: 'unassign', listener, queue: 0 });
    await until('the first to be left', async () => !(await serves(portOf(first))));
    assert.ok(await serves(portOf(second), 10_000));
    worker.send({ type: 'unassign', listener, queue: 1 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(await serves(portOf(second), 10_000));
    // And the worker still knows how to stop.
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(
      worker.all('unlisten').map((message) => message.listener),
      [listener],
    );
  });
});
