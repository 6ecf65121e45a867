/** UDP sockets of an app that is loaded by a worker: bound by the master, as Node documents them. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { freePort, request } from '../../support/request.ts';
import { until } from '../../support/until.ts';
import { gone, spawn, start, type WorkerUnderTest } from '../../support/worker-harness.ts';

const app = 'worker/datagrams.mjs';

/** Runs an app whose main module awaits this. */
async function run(code: string): Promise<WorkerUnderTest> {
  return await start({ app, env: { CODE: `(async ({ dgram, once, bind, say }) => {${code}})` } });
}

describe('a UDP socket', () => {
  test('is waited for by a main module that has nothing else yet', async () => {
    const worker = await run(`
      const socket = dgram.createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const peer = dgram.createSocket('udp4');
      const answer = once(peer, 'message');
      socket.on('message', (message, { port }) => socket.send('to ' + message, port, '127.0.0.1'));
      peer.send('you', socket.address().port, '127.0.0.1');
      say('got ' + (await answer)[0] + ' ' + (socket.address().port > 0));
      peer.close();`);
    assert.match(worker.output, /got to you true/);
    assert.equal((await request({ port: worker.port() }, '/')).body, 'served');
    assert.equal(worker.all('bind').length, 1);
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
  });

  test('of both families, with flags, is what the app asks for', async () => {
    const worker = await run(`
      say(await bind(dgram.createSocket({ type: 'udp6', ipv6Only: true }), 0, '::1'));
      say(await bind(dgram.createSocket('udp4'), { port: 0, address: 'localhost' }));`);
    assert.equal(worker.output.match(/^bound$/gm)?.length, 2);
    const [six, four] = worker.all('bind').map(({ query }) => query);
    assert.deepEqual(six, { address: '::1', port: 0, family: 6, fd: null, flags: 1 });
    assert.equal(four?.address, '127.0.0.1');
    assert.equal(four?.family, 4);
  });

  test('joins a multicast group and broadcasts', async () => {
    const worker = await run(`
      const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true });
      await bind(socket, 0);
      socket.setBroadcast(true);
      socket.setMulticastLoopback(true);
      socket.addMembership('224.0.0.114', '127.0.0.1');
      say('joined ' + socket.getRecvBufferSize());`);
    assert.match(worker.output, /joined \d+/);
  });

  test('that is bound twice is in use, unless both say reuseAddr', async () => {
    const port = await freePort();
    const worker = await run(`
      const [one, two, three] = [1, 2, 3].map(() => dgram.createSocket('udp4'));
      say('first ' + await bind(one, ${port}, '127.0.0.1'));
      say('second ' + await bind(two, ${port}, '127.0.0.1'));
      one.close();
      say('third ' + await bind(three, ${port}, '127.0.0.1'));
      three.close();`);
    assert.match(worker.output, /first bound\nsecond bind EADDRINUSE\nthird bound/);
    const sharing = await run(`
      const make = () => dgram.createSocket({ type: 'udp4', reuseAddr: true });
      say('first ' + await bind(make(), ${port + 1}, '127.0.0.1'));
      say('second ' + await bind(make(), ${port + 1}, '127.0.0.1'));`);
    assert.match(sharing.output, /first bound\nsecond bound/);
    const ordinals = sharing.all('bind').map(({ ordinal }) => ordinal);
    assert.deepEqual(ordinals, [0, 1]);
  });

  test('gets the error that the system has for it', async () => {
    const worker = spawn({
      app,
      env: {
        CODE: `(async ({ dgram, bind, say }) => {
          say('one ' + await bind(dgram.createSocket('udp4'), 981, '127.0.0.1'));
          say('two ' + await bind(dgram.createSocket('udp4'), 0, '192.0.2.1'));
        })`,
      },
    });
    worker.refuse(981, -constants.errno.EACCES);
    await worker.waitFor('ready');
    assert.match(worker.output, /one bind EACCES\ntwo bind EADDRNOTAVAIL/);
  });

  test('that is closed before the answer, and one that is closed later, are given back', async () => {
    const worker = await run(`
      const lookup = (_, ...args) => {
        args.at(-1)(null, '127.0.0.1', 4);
        // It has been asked for.
        socket.close(() => say('closed'));
      };
      const socket = dgram.createSocket({ type: 'udp4', lookup });
      socket.on('listening', () => say('never'));
      socket.bind(0, 'localhost');
      const later = dgram.createSocket('udp4');
      await bind(later, 0, '127.0.0.1');
      later.close();`);
    await until('both', () => worker.all('unbind').length === 2);
    assert.match(worker.output, /closed/);
    assert.doesNotMatch(worker.output, /never/);
  });

  test('that is bound exclusively, or by sending, is of this process alone', async () => {
    const worker = await run(`
      say(await bind(dgram.createSocket('udp4'), { port: 0, exclusive: true }));
      const sender = dgram.createSocket('udp4');
      await new Promise((resolve) => sender.send('x', 9, '127.0.0.1', resolve));
      say('sent ' + (sender.address().port > 0));`);
    assert.match(worker.output, /bound\nsent true/);
    assert.deepEqual(worker.all('bind'), []);
  });

  test('does not keep the process alive if it is not to', async () => {
    const worker = spawn({
      app,
      env: {
        CODE: `(async ({ dgram, bind, say }) => {
          const socket = dgram.createSocket('udp4').unref();
          say(await bind(socket, 0, '127.0.0.1'));
          await new Promise(() => {});
        })`,
      },
    });
    assert.equal((await worker.waitExit()).code, 13);
    assert.match(worker.output, /bound/);
  });
});
