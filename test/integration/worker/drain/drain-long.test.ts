/** Connections that are not HTTP/1, or no longer, in a drain. */
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { describe, test } from 'node:test';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { head, RawSocket } from '../../../support/raw.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { pause, stays, until } from '../../../support/until.ts';
import { cleanup, gone, loopback, start } from '../../../support/worker-harness.ts';

async function connect(port: number): Promise<RawSocket> {
  const raw = await RawSocket.connected({ port });
  cleanup(() => raw.close());
  return raw;
}

/** A WebSocket close frame with the status 1001, as text. */
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]).toString('latin1');
const uncut = [{ type: 'drained', cutRequests: 0, cutConnections: 0 }];

describe('CONN-05: upgraded connections', () => {
  test('a WebSocket is told 1001 early, after a moment for the goodbye of the app itself', async () => {
    const worker = await start({ app: 'websocket/ws.mjs', bind: [loopback] });
    const socket = new WebSocket(`ws://127.0.0.1:${worker.port()}`);
    cleanup(() => socket.terminate());
    const received: string[] = [];
    socket.on('message', (data) => received.push(String(data)));
    let closed: { code: number; after: number } | null = null;
    await until('the WebSocket', () => socket.readyState === WebSocket.OPEN);
    const startedAt = performance.now();
    socket.on('close', (code) => {
      closed = { code, after: performance.now() - startedAt };
    });
    worker.drain({ within: 30_000, linger: 200 });
    await stays('open', () => closed === null, 800);
    socket.send('still here');
    await until('an echo', () => received.some((text) => text.includes('still here')));
    const { code, after } = await until('the close', () => closed);
    assert.equal(code, 1001);
    assert.ok(after >= 1_000 && after < stretched(3_200), `after ${after} ms`);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
    assert.equal(worker.output, '');
    const [draining] = worker.all('draining');
    assert.equal(draining?.upgraded, 1);
    assert.deepEqual(draining.requests, []);
  });

  test('the very bytes, then the end, though the client never answers and the app goes on writing', async () => {
    const worker = await start({ app: 'worker/upgrade.mjs' });
    const raw = await connect(worker.port());
    raw.write(head('/', { Connection: 'Upgrade', Upgrade: 'websocket', 'X-Noisy': '1' }));
    await raw.waitFor(/\.\./);
    const startedAt = performance.now();
    worker.drain({ within: 2_000, linger: 200 });
    await until('the close frame', () => raw.text.includes(goingAway));
    await raw.waitEnd();
    assert.ok(performance.now() - startedAt < stretched(2_100));
    assert.match(raw.text.slice(raw.text.indexOf(goingAway)), /^.{4}\.*$/s);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.equal(worker.output, '');
  });

  test('WebSockets are told one after the other, and a worker with nothing else is gone in a few seconds', async () => {
    const worker = await start({ app: 'websocket/ws.mjs', bind: [loopback] });
    const closedAt: number[] = [];
    const sockets = Array.from({ length: 20 }, () => new WebSocket(`ws://127.0.0.1:${worker.port()}`));
    for (const socket of sockets) {
      cleanup(() => socket.terminate());
      socket.on('close', (code) => closedAt.push(code === 1001 ? performance.now() : Number.NaN));
    }
    await until('the WebSockets', () => sockets.every(({ readyState }) => readyState === WebSocket.OPEN));
    const startedAt = performance.now();
    worker.drain({ within: 30_000, linger: 200 });
    assert.deepEqual(await worker.waitExit(stretched(6_000)), gone);
    assert.ok(performance.now() - startedAt < stretched(6_000));
    assert.equal(closedAt.length, 20);
    assert.ok(closedAt.every(Number.isFinite), String(closedAt));
    assert.ok(Math.max(...closedAt) - Math.min(...closedAt) > 200, String(closedAt));
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('a client that does not close is not waited for until the deadline', async () => {
    const worker = await start({ app: 'worker/upgrade.mjs' });
    const raw = await connect(worker.port());
    raw.write(head('/', { Connection: 'Upgrade', Upgrade: 'websocket' }));
    await raw.waitFor(/\r\n\r\n$/);
    worker.drain({ within: 40_000, linger: 200 });
    await until('the close frame', () => raw.text.endsWith(goingAway));
    await raw.waitEnd();
    assert.deepEqual(await worker.waitExit(stretched(9_000)), gone);
  });

  test('the close frame comes after the frame that the app is writing, and not at all after its own', async () => {
    const worker = await start({ app: 'worker/upgrade.mjs' });
    const upgrade = async (): Promise<RawSocket> => {
      const raw = await connect(worker.port());
      raw.write(head('/', { Connection: 'Upgrade', Upgrade: 'websocket' }));
      await raw.waitFor(/\r\n\r\n$/);
      return raw;
    };
    // The app sends back what it gets: a text frame of 200 bytes, and one of 10 bytes that closes.
    const [inFrame, closed] = [await upgrade(), await upgrade()];
    inFrame.write(Buffer.concat([Buffer.from([0x81, 126, 0, 200]), Buffer.alloc(150, 'a')]));
    closed.write(Buffer.concat([Buffer.from([0x88, 10]), Buffer.alloc(10, 'b')]));
    await inFrame.waitFor(/a{150}$/);
    await closed.waitFor(/b{10}$/);
    worker.drain({ within: 4_000, linger: 200 });
    await stays('without a close frame', () => !inFrame.text.includes(goingAway), 1_600);
    inFrame.write(Buffer.alloc(50, 'a'));
    await until('the close frame after it', () => inFrame.text.includes(`${'a'.repeat(200)}${goingAway}`));
    for (const raw of [inFrame, closed]) await raw.waitEnd();
    assert.equal(closed.text.includes(goingAway), false);
    assert.deepEqual(await worker.waitExit(), gone);
  });

  for (const kind of ['another protocol', 'CONNECT'] as const) {
    test(`${kind} is given all the time there is, and not told what it cannot understand`, async () => {
      const worker = await start({ app: 'worker/upgrade.mjs' });
      const raw = await connect(worker.port());
      raw.write(
        kind === 'CONNECT'
          ? 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n'
          : head('/', { Connection: 'Upgrade', Upgrade: 'echo' }),
      );
      await raw.waitFor(/\r\n\r\n/);
      const startedAt = performance.now();
      worker.drain({ within: 1_500, linger: 100 });
      await pause(1_300);
      raw.write('ping');
      await raw.waitFor(/ping$/);
      await raw.waitEnd();
      const took = performance.now() - startedAt;
      assert.ok(took >= 1_450 && took < stretched(2_000), `took ${took} ms`);
      assert.equal(raw.text.includes(goingAway), false);
      assert.deepEqual(await worker.waitExit(), gone);
      assert.deepEqual(worker.all('drained'), [{ type: 'drained', cutRequests: 0, cutConnections: 1 }]);
    });
  }

  test('an upgrade counts as one request, and is not one in flight', async () => {
    const worker = await start({ app: 'worker/upgrade.mjs' });
    const raw = await connect(worker.port());
    raw.write(head('/', { Connection: 'Upgrade', Upgrade: 'echo' }));
    await raw.waitFor(/101/);
    await request({ port: worker.port() }, '/');
    await until('the count', () => worker.all('beat').at(-1)?.figures.requests === 2);
    const { figures } = worker.all('beat').at(-1) ?? assert.fail();
    assert.deepEqual([figures.inFlight, figures.connections], [0, 1]);
  });

  test('socket.io connects, and comes back when it is told to go', async () => {
    const worker = await start({ app: 'websocket/socket-io.mjs', bind: [loopback] });
    const socket = io(`http://127.0.0.1:${worker.port()}`, { transports: ['websocket'], reconnection: false });
    cleanup(() => void socket.close());
    await until('socket.io', () => socket.connected);
    const reply: unknown = await socket.timeout(2_000).emitWithAck('echo', 'x');
    assert.deepEqual((reply as { echo: string }).echo, 'x');
    const reasons: string[] = [];
    socket.on('disconnect', (reason) => reasons.push(reason));
    worker.drain({ within: 1_500, linger: 100 });
    await until('the end', () => reasons.length === 1);
    // The reason after which socket.io connects anew by itself.
    assert.deepEqual(reasons, ['transport close']);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('plain TCP is cut at the deadline, and said to be', async () => {
    const worker = await start({ app: 'node/net-echo.mjs', bind: [loopback] });
    const raw = await connect(worker.port());
    await raw.waitFor(/\d\n/);
    worker.drain({ within: 1_000, linger: 100 });
    await pause(700);
    raw.write('echo');
    await raw.waitFor(/echo$/);
    await raw.waitEnd();
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), [{ type: 'drained', cutRequests: 0, cutConnections: 1 }]);
  });
});

interface Http2Client {
  readonly session: http2.ClientHttp2Session;
  readonly goaways: number[];
  readonly get: (path: string) => Promise<string>;
}

async function connectHttp2(url: string): Promise<Http2Client> {
  const session = http2.connect(url, { rejectUnauthorized: false });
  cleanup(() => session.destroy());
  const goaways: number[] = [];
  session.on('goaway', (_code, lastStream) => goaways.push(lastStream));
  session.on('error', () => {});
  await until('the session', () => !session.connecting);
  const get = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':path': path });
      let body = '';
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        body += text;
      });
      stream.on('end', () => resolve(body));
      stream.on('error', reject);
    });
  return { session, goaways, get };
}

describe('CONN-06: HTTP/2', () => {
  for (const api of ['stream', 'request']) {
    for (const secure of [false, true]) {
      test(`streams in flight end well (${api}, ${secure ? 'TLS' : 'clear text'})`, async () => {
        const worker = await start({ app: 'worker/http2.mjs', env: { API: api, SECURE: secure ? '1' : '' } });
        const { session, goaways, get } = await connectHttp2(
          `${secure ? 'https' : 'http'}://localhost:${worker.port()}`,
        );
        assert.equal(await get('/'), `${api} /`);
        const slow = Promise.all([get('/a?ms=700'), get('/b?ms=700')]);
        await until('the streams', () => worker.all('beat').at(-1)?.figures.inFlight === 2);
        worker.drain({ linger: 400 });
        assert.deepEqual(await slow, [`${api} /a?ms=700`, `${api} /b?ms=700`]);
        await until('the end of the session', () => session.destroyed);
        // In clear text it is told in two steps, and may leave after the first.
        assert.equal(goaways[0], secure ? 5 : 2 ** 31 - 1);
        assert.equal(
          goaways.slice(secure ? 0 : 1).every((last) => last === 5),
          true,
        );
        assert.deepEqual(await worker.waitExit(), gone);
        assert.deepEqual(worker.all('drained'), uncut);
        assert.equal(worker.all('beat').at(-1)?.figures.requests, 3);
      });
    }
  }

  test('a session is told when it is silent, and not while its client is likely to go on', async () => {
    const worker = await start({ app: 'worker/http2.mjs', env: { API: 'stream' } });
    const raw = await connect(worker.port());
    raw.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(4, 1, 0)]));
    raw.write(headersFrame(1));
    await raw.waitFor(/stream \//);
    worker.drain({ linger: 5_000, within: 30_000 });
    let stream = 1;
    for (let count = 0; count < 40; count++) {
      stream += 2;
      raw.write(headersFrame(stream));
      await pause(20);
    }
    const answers = (): number => raw.text.match(/stream \//g)?.length ?? 0;
    await until('the answers', () => answers() === 41);
    assert.equal(raw.text.includes(frameHead(8, 7, 0)), false);
    await until('the GOAWAY', () => raw.text.includes(goaway(stream)), { within: 3_500 });
    await raw.waitEnd();
    // This client never closes its side: that is done for it.
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('a client is told in two steps: what crosses the first is served, and the second names the last stream', async () => {
    const worker = await start({ app: 'worker/http2.mjs', env: { API: 'stream' } });
    const raw = await connect(worker.port());
    raw.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(4, 1, 0)]));
    raw.write(headersFrame(1));
    await raw.waitFor(/stream \//);
    const answers = (): number => raw.text.match(/stream \//g)?.length ?? 0;
    const pings = (): string[] =>
      raw.text
        .split(frameHead(8, 6, 0))
        .slice(1)
        .map((text) => text.slice(0, 8));
    const acknowledge = async (count: number): Promise<void> => {
      const data = await until(`ping ${count}`, () => pings()[count - 1]);
      raw.write(frame(6, 1, 0, Buffer.from(data, 'latin1')));
    };
    worker.drain({ linger: 20_000, within: 30_000 });
    await acknowledge(1);
    await until('the first step', () => raw.text.includes(goaway(2 ** 31 - 1)));
    // On its way when the client was told.
    raw.write(headersFrame(3)).write(headersFrame(5));
    await until('the answers', () => answers() === 3);
    const second = await until('a second ping', () => (pings().length === 2 ? raw.text : undefined));
    assert.equal(second.includes(goaway(5)), false);
    raw.write(headersFrame(7));
    await acknowledge(2);
    await until('the second step', () => raw.text.includes(goaway(7)));
    await until('the last answer', () => answers() === 4);
    await raw.waitEnd();
    assert.deepEqual(await worker.waitExit(stretched(10_000)), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('busy clients lose no stream that they have sent', async () => {
    const worker = await start({ app: 'worker/http2.mjs', env: { API: 'stream' } });
    const clients = await Promise.all([1, 2, 3, 4].map(() => connectHttp2(`http://localhost:${worker.port()}`)));
    let sent = 0;
    let answered = 0;
    const failures: unknown[] = [];
    const loops = clients.flatMap(({ session, goaways, get }) =>
      [0, 1, 2, 3].map(async (loop) => {
        while (goaways.length === 0 && !session.closed) {
          sent += 1;
          await get(`/?ms=${loop}`).then(
            () => {
              answered += 1;
            },
            (error: unknown) => failures.push(error),
          );
        }
      }),
    );
    await until('some answers', () => answered > 200);
    worker.drain({ linger: 600, within: 20_000 });
    await Promise.all(loops);
    assert.deepEqual(failures, []);
    assert.equal(sent, answered);
    assert.deepEqual(await worker.waitExit(stretched(10_000)), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });

  test('a session that is never silent is told when the linger is over', async () => {
    const worker = await start({ app: 'worker/http2.mjs', env: { API: 'stream' } });
    const raw = await connect(worker.port());
    raw.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(4, 1, 0)]));
    const startedAt = performance.now();
    worker.drain({ linger: 500, within: 30_000 });
    let stream = -1;
    while (!raw.text.includes(frameHead(8, 7, 0)) && performance.now() - startedAt < stretched(5_000)) {
      stream += 2;
      raw.write(headersFrame(stream));
      await pause(10);
    }
    const took = performance.now() - startedAt;
    assert.ok(took >= 490 && took < stretched(800), `took ${took} ms`);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
    // Every stream up to the one that the GOAWAY names has its answer.
    const at = raw.text.lastIndexOf(frameHead(8, 7, 0)) + 9;
    const last = Buffer.from(raw.text.slice(at, at + 4), 'latin1').readUInt32BE();
    assert.equal(raw.text.match(/stream \//g)?.length, (last + 1) / 2);
  });

  test('SIG-03: a stream without an end is cut at the deadline', async () => {
    const worker = await start({ app: 'worker/http2.mjs', env: { API: 'stream' } });
    const { get } = await connectHttp2(`http://localhost:${worker.port()}`);
    const never = get('/never?ms=60000').catch((error: NodeJS.ErrnoException) => error.code ?? 'failed');
    await until('the stream', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    worker.drain({ within: 1_200, linger: 200 });
    const { requests } = await worker.waitFor('draining');
    assert.equal(requests[0]?.url, '/never?ms=60000');
    assert.deepEqual(await worker.waitExit(), gone);
    const [drained] = worker.all('drained');
    assert.deepEqual([drained?.cutRequests, drained?.cutConnections, drained?.requests?.length], [1, 0, 1]);
    await never;
  });

  test('HTTP/1 on the same TLS server drains as HTTP/1', async () => {
    const worker = await start({ app: 'worker/http2.mjs', env: { API: 'request', SECURE: '1' } });
    const answer = request({ port: worker.port(), secure: true }, '/slow?ms=500');
    await until('the request', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    worker.drain();
    const { status, body, headers } = await answer;
    assert.deepEqual([status, body, headers.connection], [200, 'request /slow?ms=500', 'close']);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });
});

describe('TLS', () => {
  test('https: a request in flight, an idle connection, a handshake that never comes', async () => {
    const worker = await start({ app: 'node/https.mjs', bind: [loopback] });
    const silent = await connect(worker.port());
    const half = await connect(worker.port());
    // The first bytes of a ClientHello.
    half.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    const answer = request({ port: worker.port(), secure: true }, '/slow?ms=500');
    await until('the request', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    const startedAt = performance.now();
    worker.drain({ linger: 300, within: 30_000 });
    assert.equal((await answer).headers.connection, 'close');
    await silent.waitEnd();
    assert.ok(performance.now() - startedAt < stretched(1_000));
    await half.waitEnd();
    assert.ok(performance.now() - startedAt < stretched(4_200));
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.all('drained'), uncut);
  });
});

function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const start = Buffer.alloc(9);
  start.writeUIntBE(payload.length, 0, 3);
  start[3] = type;
  start[4] = flags;
  start.writeUInt32BE(stream, 5);
  return Buffer.concat([start, payload]);
}

/** The head of a frame of this length, as text. */
function frameHead(length: number, type: number, stream: number): string {
  return frame(type, 0, stream, Buffer.alloc(length)).subarray(0, 9).toString('latin1');
}

/** A GOAWAY without an error, as text. */
function goaway(lastStream: number): string {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream);
  return frame(7, 0, 0, payload).toString('latin1');
}

/** GET / of the authority "a", without a body. */
function headersFrame(stream: number): Buffer {
  return frame(1, 5, stream, Buffer.from([0x82, 0x86, 0x84, 0x41, 0x01, 0x61]));
}
