/** Requests that the app does not answer in time, with the apps of several frameworks: LIM-02. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2, { type ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readExposition } from '../../../support/exposition.ts';
import { stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const body = 'The service did not answer in time.\n';

async function start(t: TestContext, options: SupervisorOptions): Promise<Supervisor> {
  const { config = {}, ...rest } = options;
  const s = await startSupervisor(t, {
    app: fixture('limits/plain.mjs'),
    workers: 1,
    config: { requestTimeout: '500ms', ...(config as object) },
    ...rest,
  });
  return await s.waitReady();
}

function endings(s: Supervisor): number {
  return s.stdout.text.split('the late answer has ended').length - 1;
}

async function ended(s: Supervisor, count: number): Promise<void> {
  await until(`${count} late answers`, () => endings(s) >= count, {
    within: stretched(10_000),
    abort: () => s.log.find(({ msg }) => /the app threw/.test(msg))?.msg ?? null,
  });
}

describe('an app that answers too late', () => {
  for (const [name, how] of [
    ['plain', 'answer'],
    ['express', 'answer'],
    ['express', 'error'],
    ['fastify', 'answer'],
    ['fastify', 'error'],
    ['koa', 'answer'],
    ['koa', 'error'],
    ['fetch', 'answer'],
    ['fetch', 'error'],
  ] as const) {
    it(`LIM-02: ${name} (${how}): its client gets 504, and it is as if the client had left`, async (t) => {
      const s = await start(t, { app: fixture(`limits/${name}.mjs`), env: { NODE_ENV: 'test' } });
      const { pid } = await requestJson(s.target, '/state');
      const answer = await request(s.target, `/hang?ms=1500&how=${how}`);
      assert.deepEqual([answer.status, answer.body], [504, body]);
      assert.equal(answer.headers.connection, 'close');
      assert.equal(answer.headers['x-late'], undefined);
      assert.equal(answer.headers['content-encoding'], undefined);
      await until('the app to be told', async () => (await requestJson(s.target, '/state')).closed === 1);
      assert.equal(endings(s), 0, 'the app is told before it has answered');
      await ended(s, 1);
      // The worker lives, and serves.
      assert.equal((await requestJson(s.target, '/state')).pid, pid);
      assert.equal(s.log.filter(({ msg }) => /^request timed out: GET \/hang/.test(msg)).length, 1);
      await stopClean(s);
    });
  }
});

describe('a request that timed out', () => {
  it('LIM-02: is in the access log and in the metrics as 504, and its connection is of use to no other', async (t) => {
    const admin = await freePort();
    const s = await start(t, {
      args: ['--admin', `127.0.0.1:${admin}`, '--access-log', 'access.log', '--access-log-format', '%(m)s %(U)s %(s)s'],
    });
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    for (const method of ['GET', 'HEAD', 'POST']) {
      const answer = await request(s.target, '/hang?ms=1000', { method, agent });
      assert.deepEqual([answer.status, answer.body], [504, method === 'HEAD' ? '' : body]);
    }
    await ended(s, 3);
    const sample = (name: string) => async (): Promise<boolean> => {
      const { samples } = readExposition((await request({ port: admin }, '/metrics')).body);
      return samples.get(name) === 3 || samples.get(name) === 1;
    };
    await until('the count', sample('prefork_timed_out_requests_total{}'));
    await until('the count', sample('http_requests_total{method="HEAD",status="504"}'));
    const [worker] = (await requestJson({ port: admin }, '/status')).workers as {
      timedOut: unknown;
      inFlight: number;
    }[];
    await until('the figure', async () => {
      const { workers } = await requestJson({ port: admin }, '/status');
      return (workers as { timedOut: unknown }[])[0]?.timedOut === 3;
    });
    assert.equal(worker?.inFlight, 0);
    await until('its lines', () => readFileSync(join(s.dir, 'access.log'), 'utf8').split('\n').length > 3);
    assert.match(
      readFileSync(join(s.dir, 'access.log'), 'utf8'),
      /^GET \/hang 504\nHEAD \/hang 504\nPOST \/hang 504\n/,
    );
    await stopClean(s, { ports: [admin] });
  });

  it('LIM-02: with pipelined ones behind it: each is answered, in its order', async (t) => {
    const s = await start(t, {});
    const raw = await RawSocket.connected(s.target);
    raw.write(head('/?ms=100&1') + head('/hang?ms=1200') + head('/?3') + head('/state', { Connection: 'close' }));
    await raw.waitEnd();
    assert.match(
      raw.text,
      /^HTTP\/1\.1 200 OK[\s\S]*\{"pid":\d+\}[\s\S]*HTTP\/1\.1 504 Gateway Timeout[\s\S]*in time\.\nHTTP\/1\.1 200 OK[\s\S]*\{"pid":\d+\}[\s\S]*HTTP\/1\.1 200 OK[\s\S]*"closed"/,
    );
    await ended(s, 1);
    assert.doesNotMatch(raw.text, /late/);
    await stopClean(s);
  });

  it('LIM-02: while its body is on the way: the client reads the answer, and an app that reads the body has an error, not a part', async (t) => {
    const s = await start(t, {});
    for (const path of ['/unread', '/upload']) {
      const raw = await RawSocket.connected(s.target);
      raw.write(head(path, { 'Content-Length': String(8 * 1024 * 1024) }, 'POST'));
      // More than the kernel and Node keep for an app that does not read.
      const sending = setInterval(() => raw.write(Buffer.alloc(64 * 1024)), 10);
      t.after(() => clearInterval(sending));
      await raw.waitFor(/^HTTP\/1\.1 504 [\s\S]*in time\.\n$/);
      assert.match(raw.text, /connection: close/i);
      clearInterval(sending);
      await until('an orderly end', () => raw.ending !== 'open', { within: stretched(20_000) });
      assert.equal(raw.ending, 'fin', path);
    }
    await until('the app to be told', async () => {
      const { uploads } = await requestJson(s.target, '/state');
      return JSON.stringify(uploads) === '["ECONNRESET"]';
    });
    await stopClean(s);
  });

  it('LIM-02: has ended for a drain', async (t) => {
    const s = await start(t, { config: { gracefulTimeout: '20s', drainLinger: '100ms' } });
    const hanging = request(s.target, '/hang', { timeout: 30_000 });
    await until('it to be there', async () => (await requestJson(s.target, '/state')).seen === 1);
    const began = performance.now();
    await s.reload();
    assert.equal((await hanging).status, 504);
    assert.ok(performance.now() - began < stretched(15_000), 'nothing waits for gracefulTimeout');
    await stopClean(s);
  });

  it('LIM-02: what has begun is left alone: an answer under way, and an event stream', async (t) => {
    const s = await start(t, {});
    const raw = await RawSocket.connected(s.target);
    await raw.write(head('/events')).waitFor(/data: 1/);
    const begun = await request(s.target, '/begun?ms=1500');
    assert.deepEqual([begun.status, begun.body], [200, 'begun done']);
    assert.equal(raw.ending, 'open');
    assert.equal(
      s.log.some(({ msg }) => /timed out/.test(msg)),
      false,
    );
    raw.close();
    await stopClean(s);
  });
});

describe('over HTTP/2', () => {
  async function answerOf(session: ClientHttp2Session, path: string, method = 'GET', send?: Buffer) {
    const stream = session.request({ ':path': path, ':method': method }, { endStream: send === undefined });
    if (send !== undefined) stream.write(send);
    return await new Promise<{ status: number; body: string; late: unknown }>((resolve, reject) => {
      let text = '';
      let status = 0;
      let late: unknown;
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('response', (headers) => {
        status = Number(headers[':status']);
        late = headers['x-late'];
      });
      stream.on('error', reject);
      stream.setTimeout(stretched(20_000), () => stream.destroy(new Error('the stream does not end')));
      stream.on('close', () => resolve({ status, body: text, late }));
    });
  }

  for (const kind of ['1', 'streams']) {
    it(`LIM-02: 504, other streams of the session go on, and the late answer goes nowhere (${kind})`, async (t) => {
      const s = await start(t, { env: { HTTP2: kind } });
      const session = http2.connect(`http://127.0.0.1:${s.port}`);
      t.after(() => session.destroy());
      session.on('error', () => {});
      const expected = { status: 504, body, late: undefined };
      const sent = [
        answerOf(session, '/hang?ms=1500'),
        answerOf(session, '/hang?ms=1500', 'POST', Buffer.from('begun')),
      ];
      assert.deepEqual(await Promise.all(sent), [expected, expected]);
      assert.deepEqual(await answerOf(session, '/hang?ms=1500', 'HEAD'), { ...expected, body: '' });
      assert.equal((await answerOf(session, '/state')).status, 200);
      await ended(s, 3);
      const state = JSON.parse((await answerOf(session, '/state')).body) as { seen: number; closed: number };
      assert.deepEqual([state.seen, state.closed], [3, 3]);
      session.close();
      await stopClean(s);
    });
  }
});
