/**
 * The parts of Node without a contract that prefork leans on, on the version that runs this. A new version of Node that
 * changes one of them fails here, by name.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import http from 'node:http';
import http2, { type ServerHttp2Stream } from 'node:http2';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import tls from 'node:tls';
import { openQueue } from '../../../src/master/migration/queue.ts';
import {
  abandonRequest,
  addToHeads,
  bindDatagramHandle,
  bindHandle,
  currentResponse,
  descriptorOf,
  type Handle,
  handleAddress,
  handleOf,
  hasHttpParser,
  hasOwnState,
  idleSockets,
  isDetached,
  isEstablished,
  isQuiet,
  isReceiving,
  joinHandle,
  muteChannel,
  onSocketDestroyed,
  onSocketWrite,
  onStreamDestroyed,
  pauseAccepting,
  prepareHandle,
  promoteHandle,
  rawSocketOf,
  sendUnacknowledged,
  sentHead,
  setBacklog,
  setReading,
  supportsReusePort,
  timeLeft,
  UV_TCP_REUSEPORT,
  writeAtOnce,
} from '../../../src/system/node-internals.ts';
import { fixture } from '../../support/paths.ts';
import { isAlive, listeningOn } from '../../support/proc.ts';
import { head, RawSocket } from '../../support/raw.ts';
import { freePort, request } from '../../support/request.ts';
import { stays, until } from '../../support/until.ts';

/** For children that run without tsx. */
const internals = new URL('../../../dist/system/node-internals.js', import.meta.url).href;

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const { EADDRINUSE } = constants.errno;

function bind(address: string | null, port: number, flags = 0): Handle {
  const handle = bindHandle(address, port, address?.includes(':') === true ? 6 : 4, null, flags);
  assert.ok(typeof handle !== 'number', `${handle}`);
  cleanups.push(() => handle.close());
  return handle;
}

async function listen(server: Server, on: Handle | number = 0): Promise<number> {
  cleanups.push(() => {
    if (server instanceof http.Server) server.closeAllConnections();
    server.close();
  });
  if (typeof on === 'number') server.listen(on, '127.0.0.1');
  else server.listen(on);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function connect(port: number): Promise<RawSocket> {
  const raw = await RawSocket.connected({ port });
  cleanups.push(() => raw.close());
  return raw;
}

describe('bindHandle', () => {
  test('binds without accepting, and knows where', () => {
    const handle = bind('127.0.0.1', 0);
    const address = handleAddress(handle);
    assert.equal(address?.address, '127.0.0.1');
    assert.equal(address.family, 'IPv4');
    assert.ok(address.port > 0);
    assert.ok(handle.fd > 2);
    assert.deepEqual(listeningOn(address.port), []);
  });

  test("a server's descriptor is one that can be wrapped, and it has none before and after", async () => {
    const server = net.createServer();
    assert.equal(descriptorOf(server), null);
    const port = await listen(server);
    const fd = descriptorOf(server);
    assert.ok(fd !== null && fd > 2);
    assert.equal(readlinkSync(`/proc/self/fd/${fd}`), `socket:[${listeningOn(port)[0]?.inode}]`);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(descriptorOf(server), null);
  });

  test("a server's handle listens until its last copy is closed, and there is none before and after", async (t) => {
    const server = net.createServer((socket) => socket.destroy());
    assert.equal(handleOf(server), null);
    const path = join(mkdtempSync(join(tmpdir(), 'prefork-internals-')), 'x.sock');
    t.after(() => rmSync(dirname(path), { recursive: true }));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const handle = handleOf(server);
    assert.ok(handle !== null && handle.fd > 2);
    assert.equal(handle.fd, descriptorOf(server));
    await new Promise((resolve) => server.close(resolve));
    assert.equal(handleOf(server), null);
  });

  test('the unspecified address, and IPv6', () => {
    assert.ok((handleAddress(bind(null, 0))?.port ?? 0) > 0);
    assert.equal(handleAddress(bind('::1', 0))?.address, '::1');
  });

  test('an address in use is an error at once, though the system says it late', async () => {
    const port = await listen(net.createServer());
    assert.equal(bindHandle('127.0.0.1', port, 4, null, 0), -EADDRINUSE);
    assert.equal(bindHandle(null, port, 4, null, 0), -EADDRINUSE);
  });

  test('other failures are numbers too', () => {
    assert.equal(bindHandle('192.0.2.1', 0, 4, null, 0), -constants.errno.EADDRNOTAVAIL);
    // libuv says so of a directory that is missing, too.
    assert.equal(bindHandle('/no/such/directory/socket', -1, -1, null, 0), -constants.errno.EACCES);
  });

  test('a unix socket, whose address it does not know', () => {
    const handle = bindHandle(join(tmpdir(), `prefork-internals-${process.pid}.sock`), -1, -1, null, 0);
    assert.ok(typeof handle !== 'number');
    assert.equal(handleAddress(handle), null);
    handle.close();
  });

  test('wraps a descriptor that was inherited', () => {
    const first = bind('127.0.0.1', 0);
    const second = bindHandle(null, -1, -1, first.fd, 0);
    assert.ok(typeof second !== 'number');
    assert.equal(handleAddress(second)?.port, handleAddress(first)?.port);
  });

  test('several queues share a port where the system and this version know how', { skip: !supportsReusePort() }, () => {
    const port = handleAddress(bind('127.0.0.1', 0, UV_TCP_REUSEPORT))?.port ?? 0;
    assert.equal(handleAddress(bind('127.0.0.1', port, UV_TCP_REUSEPORT))?.port, port);
  });

  test('and the version that is said to is the one that does', () => {
    const first = bind('127.0.0.1', 0, UV_TCP_REUSEPORT);
    // Bound sockets that do not listen get along in any case.
    first.listen(5);
    const second = bindHandle('127.0.0.1', handleAddress(first)?.port ?? 0, 4, null, UV_TCP_REUSEPORT);
    if (typeof second !== 'number') second.close();
    assert.equal(typeof second === 'object', supportsReusePort());
  });
});

describe('handles that listen', () => {
  test('the backlog is the one given, and a close is noticed', async () => {
    const handle = bind('127.0.0.1', 0);
    let closed = 0;
    prepareHandle(handle, { backlog: 1, onClose: () => closed++ });
    const server = net.createServer({ pauseOnConnect: true });
    const port = await listen(server, handle);
    // Accepts nothing more: what comes now waits in the kernel, as far as there is room.
    const clients = Array.from({ length: 8 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
    cleanups.push(() => {
      for (const client of clients) client.destroy();
    });
    server.close();
    assert.equal(closed, 1);
  });

  test('a joined handle is served as the own one: counts, limits, options', async () => {
    const [own, further] = [bind('127.0.0.1', 0), bind('127.0.0.1', 0)];
    const server = net.createServer({ allowHalfOpen: true });
    server.maxConnections = 1;
    await listen(server, own);
    const connections: Socket[] = [];
    server.on('connection', (socket: Socket) => connections.push(socket));
    assert.equal(joinHandle(server, further, 5), 0);
    const port = handleAddress(further)?.port ?? 0;
    await connect(port);
    await until('the connection', () => connections.length === 1);
    assert.equal(await new Promise((resolve) => server.getConnections((_error, count) => resolve(count))), 1);
    assert.equal(connections[0]?.allowHalfOpen, true);
    const dropped = once(server, 'drop');
    await connect(port);
    await dropped;
  });

  test('a joined handle can take the place of the own one', async () => {
    const [own, further] = [bind('127.0.0.1', 0), bind('127.0.0.1', 0)];
    const server = http.createServer((_req, res) => res.end('yes'));
    await listen(server, own);
    joinHandle(server, further, 5);
    promoteHandle(server, further);
    own.close();
    const port = (server.address() as AddressInfo).port;
    assert.equal(port, handleAddress(further)?.port);
    assert.equal((await request({ port }, '/')).body, 'yes');
  });
});

describe('a handle of another process', () => {
  test('pauses and goes on accepting, and a bound one does not pause', async () => {
    const handle = bind('127.0.0.1', 0);
    const port = handleAddress(handle)?.port ?? 0;
    assert.equal(pauseAccepting(handle), false);
    const child = fork(fixture('worker/hostile.cjs'), {
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        INTERNALS: internals,
        CODE: `
          const internals = await import(process.env.INTERNALS);
          process.on('message', (what, server) => {
            if (what === 'pause') console.log('paused', internals.pauseAccepting(globalThis.handle));
            else if (what === 'resume') internals.setBacklog(globalThis.handle, 10);
            else {
              globalThis.handle = server._handle;
              let before = 0;
              internals.aroundConnections(server, {
                before: () => { before += 1; return internals.liftConnectionLimit(server); },
                after: () => {
                  const { connections, most, drops } = internals.connectionLimit(server);
                  console.log('connection', before, connections, most, drops, internals.isReferenced(server));
                },
              });
              server.maxConnections = 1;
              console.log('listening');
            }
          });`,
      },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    cleanups.push(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await until('the child', () => output.includes('done'));
    const server = net.createServer();
    await listen(server, handle);
    child.send('server', server);
    await new Promise((resolve) => server.close(resolve));
    await until('the listening child', () => output.includes('listening'));
    await connect(port);
    await until('the first', () => output.includes('connection 1 1 1 false true'));
    for (const count of [2, 3]) {
      output = '';
      child.send('pause');
      await until('the pause', () => output.includes('paused true'));
      await connect(port);
      await stays('unaccepted', () => !output.includes('connection'), 100);
      child.send('resume');
      await until('the next', () => output.includes(`connection ${count} ${count} 1 false true`));
    }
  });
});

describe('what is known of an HTTP connection', () => {
  async function serve(
    listener: http.RequestListener,
  ): Promise<{ server: http.Server; port: number; sockets: Socket[] }> {
    const server = http.createServer(listener);
    const sockets: Socket[] = [];
    server.on('connection', (socket: Socket) => sockets.push(socket));
    return { server, port: await listen(server), sockets };
  }

  test('its parser, its response, its idleness', async () => {
    const responses: http.ServerResponse[] = [];
    const { server, port, sockets } = await serve((_req, res) => responses.push(res));
    const raw = await connect(port);
    const socket = await until('the connection', () => sockets[0]);
    assert.equal(hasHttpParser(socket), true);
    assert.equal(currentResponse(socket), null);

    raw.write(head('/'));
    const response = await until('the request', () => responses[0]);
    assert.equal(currentResponse(socket), response);
    assert.equal(sentHead(response), '');
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('x');
    assert.match(sentHead(response), /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-stream\r\n/);
    response.end();
    await until('the end', () => currentResponse(socket) === null);
    await until('idleness', () => idleSockets(server)?.has(socket));

    raw.write('GET / HT');
    await until('the first bytes of the next', () => idleSockets(server)?.has(socket) === false);
    assert.equal(currentResponse(socket), null);
  });

  test('lines that are added to its heads, however they are made', async () => {
    addToHeads((response, headers) => (response.req.url === '/plain' ? '' : `x-added: ${typeof headers}\r\n`));
    const { port } = await serve((req, res) => {
      if (req.url === '/implicit') res.end('x');
      else if (req.url === '/set') res.setHeader('x-own', '1').end('x');
      else res.writeHead(200, { 'x-own': '1' }).end('x');
    });
    const headersOf = async (path: string): Promise<readonly unknown[]> => {
      const { headers, body } = await request({ port }, path);
      return [headers['x-added'], headers['x-own'], body];
    };
    assert.deepEqual(await headersOf('/head'), ['object', '1', 'x']);
    assert.deepEqual(await headersOf('/set'), ['object', '1', 'x']);
    assert.deepEqual(await headersOf('/implicit'), ['undefined', undefined, 'x']);
    assert.deepEqual(await headersOf('/plain'), [undefined, '1', 'x']);
  });

  test('a body that is still arriving, though it was answered', async () => {
    const { port, sockets } = await serve((_req, res) => res.end());
    const raw = await connect(port);
    raw.write(head('/', { 'Content-Length': '10' }, 'POST')).write('12345');
    await raw.waitFor(/200 OK/);
    const [socket] = sockets;
    assert.ok(socket !== undefined);
    assert.equal(isReceiving(socket), true);
    raw.write('67890');
    await until('the end of it', () => !isReceiving(socket));
  });

  test('a request that is abandoned is gone for the app, and its connection is read on', async () => {
    const seen: string[] = [];
    const { port, sockets } = await serve((req, res) => {
      req.on('aborted', () => seen.push(`aborted ${req.socket.remotePort === sockets[0]?.remotePort}`));
      req.on('error', (error: NodeJS.ErrnoException) => seen.push(`error ${error.code}`));
      req.on('end', () => seen.push('end'));
      req.on('close', () => seen.push('close'));
      // It takes a part of what comes, and then no more.
      req.once('readable', () => {
        req.read(1);
        res.end('done');
        process.nextTick(() => abandonRequest(req));
      });
    });
    const raw = await connect(port);
    raw.write(head('/', { 'Content-Length': String(4 * 1024 * 1024) }, 'POST'));
    await raw.write(Buffer.alloc(1024 * 1024)).waitFor(/done/);
    const [socket] = sockets;
    assert.ok(socket !== undefined);
    await until('its end for the app', () => seen.includes('close'));
    assert.equal(socket.destroyed, false);
    assert.equal(isReceiving(socket), true);
    raw.write(Buffer.alloc(3 * 1024 * 1024));
    await until('the end of it', () => !isReceiving(socket));
    assert.equal(raw.ending, 'open');
    assert.deepEqual(seen, ['aborted true', 'error ECONNRESET', 'close']);
  });

  test('an upgrade takes the parser away', async () => {
    const { server, port, sockets } = await serve(() => {});
    server.on('upgrade', (_req, socket: Socket) => socket.write('done'));
    const raw = await connect(port);
    await raw.write(head('/', { Connection: 'Upgrade', Upgrade: 'x' })).waitFor(/done/);
    const [socket] = sockets;
    assert.ok(socket !== undefined);
    assert.equal(hasHttpParser(socket), false);
    cleanups.push(() => void socket.destroy());
  });

  test('the connection under TLS', async () => {
    const server = tls.createServer({
      key: readFileSync(fixture('tls/key.pem')),
      cert: readFileSync(fixture('tls/cert.pem')),
    });
    let raw: Socket | undefined;
    server.on('connection', (socket: Socket) => {
      raw = socket;
    });
    const port = await listen(server);
    const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    cleanups.push(() => void client.destroy());
    const [secure] = (await once(server, 'secureConnection')) as [Socket];
    assert.equal(rawSocketOf(secure), raw);
    assert.ok((raw?.bytesRead ?? 0) > 0);
  });
});

describe('the last place in a queue', () => {
  test('is known to be taken in the tick after the call, and nobody else gets one', async () => {
    const handle = bind('127.0.0.1', 0);
    const server = net.createServer();
    const port = await listen(server, handle);
    assert.equal(setBacklog(handle, 0), 0);
    const calls: Socket[] = [];
    let established = 0;
    // No poll phase comes between: this process does not accept.
    for (let count = 0; count < 3; count++) {
      calls.push(net.connect(port, '127.0.0.1').on('error', () => {}));
      await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)));
      established = calls.filter(isEstablished).length;
    }
    assert.equal(established, 1);
    assert.equal(setBacklog(handle, 10), 0);
    for (const call of calls) call.destroy();
    assert.equal(calls.some(isEstablished), false);
  });
});

describe('a socket that others read and write', () => {
  test('is not read for a while', async () => {
    const sockets: Socket[] = [];
    const port = await listen(net.createServer((socket) => void sockets.push(socket.resume())));
    const raw = await connect(port);
    const socket = await until('the socket', () => sockets[0]);
    await new Promise((resolve) => setImmediate(resolve));
    setReading(socket, false);
    raw.write('x');
    await stays('unread', () => socket.bytesRead === 0, 100);
    setReading(socket, true);
    await until('the byte', () => socket.bytesRead === 1);
  });

  test('of an HTTP/2 session takes a frame more, TLS does not', async () => {
    const server = http2.createServer((_, response) => response.end('x'));
    const sockets: Socket[] = [];
    server.on('connection', (socket: Socket) => sockets.push(socket));
    const client = http2.connect(`http://127.0.0.1:${await listen(server)}`);
    cleanups.push(() => client.destroy());
    const goaway = once(client, 'goaway');
    const socket = await until('the socket', () => sockets[0]);
    await once(client.request().resume(), 'end');
    const frame = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    await until('a moment for it', () => writeAtOnce(socket, frame));
    assert.deepEqual((await goaway).slice(0, 2), [0, 2 ** 31 - 1]);
    const secure = new tls.TLSSocket(socket);
    assert.equal(writeAtOnce(secure, frame), false);
    assert.equal(writeAtOnce(socket.destroy(), frame), false);
  });

  test('tells what is written to it, one chunk or many, text or bytes', async () => {
    const written: string[] = [];
    const port = await listen(net.createServer());
    const socket = net.connect(port, '127.0.0.1');
    cleanups.push(() => void socket.destroy());
    onSocketWrite(
      (each) => each === socket,
      (_, bytes) => written.push(Buffer.from(bytes).toString()),
    );
    socket.write('early ');
    await once(socket, 'connect');
    socket.cork();
    socket.write('one ');
    socket.write(Buffer.from('two '));
    socket.write('746872656520', 'hex');
    socket.uncork();
    socket.write('four');
    await until('all of it', () => written.join('') === 'early one two three four');
    assert.equal(socket.bytesWritten, written.join('').length);
  });
});

describe('the ends of sockets and streams', () => {
  const ended = new WeakSet<object>();
  onSocketDestroyed((socket) => void ended.add(socket));

  test('of a socket, whoever ends it, and though the app has removed its listeners', async () => {
    const sockets: Socket[] = [];
    const port = await listen(net.createServer((socket) => void sockets.push(socket.on('error', () => {}))));
    for (const end of [(raw: RawSocket) => raw.reset(), (raw: RawSocket) => raw.finish(), () => {}]) {
      const raw = await connect(port);
      const socket = await until('the socket', () => sockets.pop());
      socket.removeAllListeners('close');
      socket.resume();
      assert.equal(ended.has(socket), false);
      assert.equal(isDetached(socket), false);
      socket.on('error', () => {});
      end(raw);
      if (end.length === 0) socket.destroy();
      await until('its end', () => ended.has(socket));
    }
  });

  test('of the socket under TLS', async () => {
    const server = tls.createServer({
      key: readFileSync(fixture('tls/key.pem')),
      cert: readFileSync(fixture('tls/cert.pem')),
    });
    const raws: Socket[] = [];
    server.on('connection', (socket: Socket) => raws.push(socket));
    const port = await listen(server);
    const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    const [secure] = (await once(server, 'secureConnection')) as [Socket];
    const [raw] = raws;
    assert.ok(raw !== undefined);
    assert.equal(isDetached(raw), false);
    client.destroy();
    await until('the ends', () => ended.has(raw) && ended.has(secure));
  });

  test('of an HTTP/2 stream that was answered, when it is written, and of one that was cut', async () => {
    const streams = new Map<string, ServerHttp2Stream>();
    const written = new WeakMap<object, boolean>();
    const server = http2.createServer();
    server.on('stream', (stream, headers) => {
      if (streams.size === 0) {
        onStreamDestroyed(stream, (destroyed) =>
          written.set(destroyed, (destroyed as ServerHttp2Stream).writableFinished),
        );
      }
      streams.set(String(headers[':path']), stream);
      assert.ok(stream.session?.socket !== undefined);
      stream.respond();
      if (headers[':path'] === '/answered') stream.end('x');
      else stream.write('x');
      stream.on('error', () => {});
    });
    const client = http2.connect(`http://127.0.0.1:${await listen(server)}`);
    cleanups.push(() => client.destroy());
    for (const path of ['/answered', '/cut']) {
      const request = client.request({ ':path': path }).on('error', () => {});
      await once(request, 'data');
      if (path === '/cut') request.close(http2.constants.NGHTTP2_CANCEL);
      const stream = await until('the stream', () => streams.get(path));
      await until('its end', () => written.has(stream));
      assert.equal(written.get(stream), path === '/answered');
    }
  });

  test('a socket that was sent to another process is detached', async () => {
    const server = net.createServer();
    const port = await listen(server);
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const raw = await connect(port);
    const [socket] = await accepted;
    const child = fork('-e', ['process.on("message", (_, socket) => socket.end("bye"))'], {
      execArgv: [],
      execPath: process.execPath,
    });
    cleanups.push(() => void child.kill('SIGKILL'));
    child.send('socket', socket);
    await raw.waitFor(/bye/);
    await until('its handle to be gone', () => isDetached(socket));
    assert.equal(ended.has(socket), false);
  });
});

describe('SEC-07: a worker that speaks to node:cluster behind our back', () => {
  async function hostile(code: string): Promise<{
    worker: Worker;
    output: () => string;
    heard: readonly unknown[];
  }> {
    cluster.setupPrimary({
      exec: fixture('worker/hostile.cjs'),
      args: [],
      execArgv: [],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const worker = cluster.fork({ CODE: code, NODE_OPTIONS: '', INTERNALS: internals });
    muteChannel(worker.process);
    const heard: unknown[] = [];
    for (const event of ['message', 'internalMessage']) worker.process.on(event, (raw) => heard.push(raw));
    cleanups.push(async () => {
      worker.process.disconnect();
      if (!isAlive(worker.process.pid ?? 0)) return;
      const exited = once(worker.process, 'exit');
      worker.process.kill('SIGKILL');
      await exited;
    });
    let output = '';
    worker.process.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    worker.on('error', () => {});
    await until('the worker', () => output.includes('done'));
    return { worker, output: () => output, heard };
  }

  test('binds no address, neither by listen() nor by a message', async () => {
    const port = await freePort();
    const { heard } = await hostile(`
      require('node:net').createServer().listen(${port});
      require('node:dgram').createSocket('udp4').bind(${port});
      for (const addressType of [4, 6, -1, 'udp4', 'udp', null, undefined]) {
        send({ act: 'queryServer', index: 0, address: null, port: ${port}, addressType, fd: undefined });
      }`);
    await stays('not bound', () => listeningOn(port).length === 0, 300);
    assert.deepEqual(heard, []);
  });

  for (const [what, code] of [
    ['bytes that are no JSON', `write('no json\\n');`],
    ['binary', 'write(Buffer.from([0, 255, 10, 254, 10]));'],
    ['an acknowledgement of nothing', `process.send({ cmd: 'NODE_HANDLE_ACK' });`],
    ['a message without an end', `write('x'.repeat(1e7));`],
    ['a handle', `process.send('x', require('node:net').createServer().listen({ port: 0, exclusive: true }));`],
    ['an act that is no act', `for (const act of ['hasOwnProperty', '__proto__', 7, null]) send({ act });`],
  ] as const) {
    test(`is not heard: ${what}`, async () => {
      const { worker, heard } = await hostile(code);
      await stays('unheard', () => heard.length === 0, 200);
      assert.equal(worker.isConnected(), true);
      // Nothing shows that the other end is gone: it is closed from this one.
      const gone = once(worker.process, 'exit');
      worker.process.kill('SIGKILL');
      await gone;
      await stays('connected', () => worker.isConnected(), 100);
      const left = once(worker, 'disconnect');
      worker.process.disconnect();
      await left;
      assert.equal(cluster.workers?.[worker.id], undefined);
    });
  }

  test('is sent handles and messages in their order, without a word from it', async () => {
    const { worker, output, heard } = await hostile(`
      const { pairHandles, internalEvent } = await import(process.env.INTERNALS);
      const next = pairHandles();
      process.on(internalEvent, (raw) => {
        const { message, handle } = next(raw);
        console.log(message.text + ' ' + (handle?.constructor.name ?? 'nothing'));
      });`);
    const tcp = bind('127.0.0.1', 0);
    const udp = bindDatagramHandle('127.0.0.1', 0, 4, 0);
    assert.ok(typeof udp !== 'number');
    cleanups.push(() => udp.close());
    const texts = ['one', 'two', 'three', 'four', 'five'];
    const handles = [tcp, undefined, udp, tcp, undefined];
    let done = 0;
    for (const [index, text] of texts.entries()) {
      const isWritten = sendUnacknowledged(worker.process, { text }, handles[index], () => {
        done += 1;
      });
      assert.equal(isWritten, true);
    }
    await until('all of them', () => output().includes('five nothing'));
    const lines = output().split('\n').slice(1, 6);
    assert.deepEqual(lines, ['one TCP', 'two nothing', 'three UDP', 'four TCP', 'five nothing']);
    assert.equal(done, 5);
    await stays('unheard', () => heard.length === 0, 100);
  });

  test('each message comes with its own handle, however many wait to be read', async () => {
    const { worker, output } = await hostile(`
      const { pairHandles, internalEvent } = await import(process.env.INTERNALS);
      const next = pairHandles();
      process.on(internalEvent, (raw) => {
        const { message, handle } = next(raw);
        const out = {};
        handle?.getsockname(out);
        console.log(message.port + ' ' + (out.port ?? 0));
      });`);
    worker.process.kill('SIGSTOP');
    const handles = Array.from({ length: 20 }, () => bind('127.0.0.1', 0));
    const ports = handles.map((handle) => handleAddress(handle)?.port ?? 0);
    // So that the end of what is read at once, 64 KiB, is in the middle of a message that has a handle: in one of these.
    let count = 0;
    const send = (message: object, handle?: Handle): void => {
      count += 1;
      assert.equal(
        sendUnacknowledged(worker.process, message, handle, () => {}),
        true,
      );
    };
    const around = JSON.stringify({ cmd: 'NODE_PREFORK', msg: { port: 0, text: '' } }).length + 1;
    for (let round = 0; round < 8; round++) {
      let left = 65_536 - 6 * round - 1;
      while (left > 0) {
        const length = left > 12_000 ? 10_000 : left;
        send({ port: 0, text: 'x'.repeat(length - around) });
        left -= length;
      }
      for (const [index, handle] of handles.slice(0, 2).entries()) send({ port: ports[index] }, handle);
      worker.process.kill('SIGCONT');
      await until('all', () => output().match(/^\d+ \d+$/gm)?.length === count);
      worker.process.kill('SIGSTOP');
    }
    for (const [index, handle] of handles.entries()) send({ port: ports[index] }, handle);
    worker.process.kill('SIGCONT');
    await until('all', () => output().match(/^\d+ \d+$/gm)?.length === count);
    const pairs = [...output().matchAll(/^(\d+) (\d+)$/gm)].map(([, wanted, got]) => [Number(wanted), Number(got)]);
    for (const [wanted, got] of pairs) assert.equal(got, wanted);
  });

  test('a worker that does not read is told by what does not fit', async () => {
    const { worker } = await hostile('');
    worker.process.kill('SIGSTOP');
    let sent = 0;
    const isWritten = (): boolean =>
      sendUnacknowledged(worker.process, { text: 'x'.repeat(10_000) }, undefined, () => {
        sent += 1;
      });
    let count = 1;
    while (isWritten()) {
      count += 1;
      assert.ok(count < 10_000);
    }
    await stays('the last waits', () => sent < count, 200);
    worker.process.kill('SIGCONT');
    await until('it to be read', () => sent === count);
  });
});

describe('process.send() that nobody reads', () => {
  /** Runs code in a child of ours that has an IPC channel, and returns what it prints. */
  async function run(code: string): Promise<string> {
    const child = fork(fixture('worker/hostile.cjs'), {
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        INTERNALS: internals,
        CODE: `
        const { dropSends } = await import(process.env.INTERNALS);
        let dropped = 0;
        dropSends(() => dropped++);
        const attempt = (f) => { try { return f(); } catch ({ code }) { return code; } };
        ${code}`,
      },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const heard: unknown[] = [];
    child.on('message', (message) => heard.push(message));
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    cleanups.push(() => void child.kill('SIGKILL'));
    await until('the end of it', () => output.includes('done'));
    await stays('unheard', () => heard.length === 0, 50);
    return output.replace(/done\n/, '').trim();
  }

  test('looks as if it was sent, whatever and however much it is', async () => {
    const printed = await run(`
      const results = [];
      for (const message of ['ready', 1, true, null, {}, [], { cmd: 'own' }]) results.push(process.send(message));
      const error = await new Promise((resolve) => process.send({}, resolve));
      for (let i = 0; i < 100; i++) process.send('x'.repeat(7e6));
      console.log(JSON.stringify([results, error, dropped, process.connected]));`);
    assert.equal(printed, JSON.stringify([Array(7).fill(true), null, 108, true]));
  });

  test('throws what Node throws', async () => {
    const printed = await run(`
      console.log(attempt(() => process.send()), attempt(() => process.send(() => {})), attempt(() => process.send('x', {})),
        attempt(() => process.send('x', undefined, 7)), dropped);`);
    assert.equal(printed, 'ERR_MISSING_ARGS ERR_INVALID_ARG_TYPE ERR_INVALID_HANDLE_TYPE ERR_INVALID_ARG_TYPE 0');
  });

  test('a connection that is given away is closed, unless it is to be kept', async () => {
    const printed = await run(`
      const net = require('node:net');
      const server = net.createServer().listen(0, '127.0.0.1');
      const peer = () => new Promise((resolve) => server.once('connection', (socket) => resolve(socket)));
      const connect = () => net.connect(server.address().port, '127.0.0.1').on('error', () => {});
      await new Promise((resolve) => server.once('listening', resolve));
      const [kept] = [connect(), connect()];
      const first = await peer();
      process.send('one', first, { keepOpen: true });
      console.log(first.destroyed);
      process.send('two', first);
      console.log(first.destroyed, process.send('three', server), server.listening);`);
    assert.equal(printed, 'false\ntrue true true');
  });
});

describe('connections in a queue', () => {
  /** Serves in a child of ours that has both ends of a queue, and returns its port and what it prints. */
  async function serve(code: string): Promise<{ readonly port: number; readonly output: () => string }> {
    const queue = await openQueue();
    const { give, take } = queue.descriptors;
    const child = fork(fixture('worker/hostile.cjs'), {
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        INTERNALS: internals,
        CODE: `
        const i = await import(process.env.INTERNALS);
        const http = require('node:http');
        const sockets = [];
        let requests = 0;
        const server = http.createServer((request, response) => {
          requests += 1;
          const before = i.hasOwnState(server, request.socket);
          response.on('finish', () => setImmediate(() => finished(request.socket, request.url)));
          response.end('answer ' + request.url + (before ? ' own' : ''));
        });
        let finished = () => {};
        server.on('connection', (socket) => sockets.push(socket));
        ${code}
        server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port + ';'));`,
      },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc', give, take],
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    cleanups.push(async () => {
      child.kill('SIGKILL');
      queue.close();
      await until('its end', () => child.exitCode !== null || child.signalCode !== null);
    });
    const [, port] = await until('the port', () => /port (\d+);/.exec(output));
    return { port: Number(port), output: () => output };
  }

  const giveAway = `
    const out = i.openConnectionsOut(4);
    const give = (socket, text) => {
      const handle = i.holdConnection(socket);
      return out.put(text, handle, (isGone) => {
        console.log('gone ' + isGone);
        if (isGone) i.letGo(socket); else i.resumeConnection(socket);
      });
    };
    const into = i.openConnectionsIn(5, (text, handle) => {
      console.log('took ' + text.trim());
      i.giveConnection(server, handle);
    });`;

  test('a client notices nothing of its connection going through it, and what it sent meanwhile is read', async () => {
    // Also if there is no channel to the master any more.
    const { port, output } = await serve(`i.learnPipes();
      process.disconnect();
      ${giveAway}
      finished = (socket, url) => { if (url === '/one') console.log('at once ' + give(socket, 'text of ' + url)); };
      setTimeout(() => into.start(), 300);`);
    const client = await RawSocket.connected({ port });
    client.write(head('/one'));
    await until('it to be in the queue', () => output().includes('gone true'));
    client.write(`${head('/two')}${head('/three').slice(0, 7)}`);
    await client.waitFor(/answer \/two$/);
    client.write(head('/three').slice(7));
    await client.waitFor(/answer \/three$/);
    assert.equal(client.ending, 'open');
    assert.doesNotMatch(client.text, / own/);
    assert.match(output(), /at once true[\s\S]*took text of \/one/);
    client.close();
  });

  test('many that are put there in one tick arrive, each with its own message', async () => {
    const { port, output } = await serve(`${giveAway}
      let count = 0;
      finished = (socket, url) => {
        if (url !== '/one' || (count += 1) < 30) return;
        for (const [index, each] of sockets.slice(0, 30).entries()) give(each, String(index));
        into.start();
      };`);
    const clients = await Promise.all(Array.from({ length: 30 }, () => RawSocket.connected({ port })));
    for (const client of clients) client.write(head('/one'));
    await until('all of them', () => output().match(/took \d+/g)?.length === 30);
    assert.deepEqual(
      [...output().matchAll(/took (\d+)/g)].map(([, index]) => Number(index)),
      Array.from({ length: 30 }, (_, index) => index),
    );
    for (const client of clients) client.write(head('/two'));
    for (const client of clients) await client.waitFor(/answer \/two$/);
    for (const client of clients) client.close();
  });

  test('one that the kernel has no room for comes back when the queue is closed, and goes on', async () => {
    const { port, output } = await serve(`${giveAway}
      let count = 0;
      finished = (socket, url) => {
        if (url !== '/one' || (count += 1) < 3) return;
        // The queue holds messages by their size.
        const [first, second] = sockets;
        let isThere = true;
        for (let size = 0; isThere && size < 64; size += 1) {
          isThere = out.put('x'.repeat(60_000), i.holdConnection(first), () => {});
        }
        console.log('full ' + !isThere + ' ' + give(second, 'late'));
        setTimeout(() => out.close(), 50);
      };`);
    const clients: RawSocket[] = [];
    for (let count = 0; count < 3; count += 1) clients.push(await RawSocket.connected({ port }));
    for (const client of clients) client.write(head('/one'));
    await until('it to come back', () => output().includes('gone false'));
    assert.match(output(), /full true false/);
    clients[1]?.write(head('/two'));
    await clients[1]?.waitFor(/answer \/two$/);
    for (const client of clients) client.close();
  });

  test("what is the app's own is seen, and what is Node's is not", async () => {
    const found: Record<string, boolean> = {};
    const server = http.createServer((request, response) => {
      const { socket } = request;
      const { url = '' } = request;
      found[`before ${url}`] = hasOwnState(server, socket);
      if (url === '/listener') socket.on('end', () => {});
      if (url === '/property') Object.assign(socket, { user: 'somebody' });
      if (url === '/symbol') Object.assign(socket, { [Symbol('user')]: 'somebody' });
      void socket.remoteAddress;
      response.on('finish', () => {
        setImmediate(() => {
          found[url] = hasOwnState(server, socket);
          found[`quiet ${url}`] = isQuiet(socket);
          const left = timeLeft(socket);
          found[`time ${url}`] = left !== null && left > 4_000 && left <= 6_001;
        });
      });
      response.end('answer');
    });
    server.on('connection', (socket: Socket) => {
      found.fresh = hasOwnState(server, socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (const url of ['/', '/listener', '/property', '/symbol']) {
      const client = await RawSocket.connected({ port });
      client.write(head(url));
      await until(url, () => found[`time ${url}`] !== undefined);
      client.close();
    }
    assert.deepEqual(found, {
      fresh: false,
      ...Object.fromEntries(
        ['/', '/listener', '/property', '/symbol'].flatMap((url) => [
          [`before ${url}`, false],
          [url, url !== '/'],
          [`quiet ${url}`, true],
          [`time ${url}`, true],
        ]),
      ),
    });
    server.maxRequestsPerSocket = 5;
    const client = await RawSocket.connected({ port });
    await until('it', () => found.fresh === true);
    client.close();
  });
});
