/** What is in the access log at all: which fields, which requests, whose address. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { readExposition } from '../../../support/exposition.ts';
import { fixture } from '../../../support/paths.ts';
import { RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { type Supervisor, startSupervisor, writeConfig } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
const log = { accessLog: 'access.log', accessLogFormat: 'json' };
const usual =
  'time remoteAddress method url protocol status bytes durationMs referer userAgent requestId pid name slot worker generation';

type Line = Readonly<Record<string, unknown>>;

async function start(t: TestContext, config: object, options: object = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers: 1, config: { ...log, ...config }, ...options });
  return await s.waitReady(30_000);
}

function textLines(s: Supervisor): string[] {
  const path = join(s.dir, 'access.log');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

async function lines(s: Supervisor, count: number): Promise<Line[]> {
  await until(`${count} lines`, () => textLines(s).length >= count, { within: 10_000 });
  return textLines(s).map((line) => JSON.parse(line) as Line);
}

describe('the trace of a request', () => {
  it('TRC-01: is in the line by the names that OpenTelemetry has, and no other is', async (t) => {
    const s = await start(t, {});
    await request(s.target, '/pid?1', { headers: { traceparent } });
    await request(s.target, '/pid?2', { headers: { traceparent: traceparent.toUpperCase() } });
    await request(s.target, '/pid?3');
    const twice = RawSocket.open(s.target).write(
      `GET /pid?4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: ${traceparent}\r\ntraceparent: ${traceparent}\r\n\r\n`,
    );
    await twice.waitEnd();
    const [first, ...others] = await lines(s, 4);
    const { trace_id, span_id, trace_flags } = first ?? {};
    assert.deepEqual(
      { trace_id, span_id, trace_flags },
      { trace_id: trace, span_id: '00f067aa0ba902b7', trace_flags: '01' },
    );
    for (const line of others) assert.equal(Object.keys(line).join(' '), usual, JSON.stringify(line));
  });

  it('TRC-01: is in the line of an HTTP/2 stream and of an upgraded connection, with an id', async (t) => {
    const s = await start(t, {}, { app: fixture('access-log/echo-http2.cjs') });
    const client = connect(`http://127.0.0.1:${s.port}`);
    client.on('error', () => undefined);
    t.after(() => client.destroy());
    const stream = client.request({ ':path': '/', traceparent });
    await textOf(stream);
    const [line] = await lines(s, 1);
    assert.deepEqual([line?.trace_id, line?.protocol], [trace, 'HTTP/2.0']);

    const upgrading = await start(t, {}, { app: fixture('request-context/app.mjs'), env: { KIND: 'http' } });
    const { default: WebSocket } = await import('ws');
    const socket = new WebSocket(`ws://127.0.0.1:${upgrading.port}/`, { headers: { traceparent } });
    await once(socket, 'open');
    socket.send('x');
    const [said] = (await once(socket, 'message')) as [Buffer];
    socket.close();
    const [upgrade] = await lines(upgrading, 1);
    assert.deepEqual([upgrade?.trace_id, upgrade?.status], [trace, 101]);
    const { ids } = JSON.parse(said.toString()) as { ids: string[] };
    assert.deepEqual(new Set(ids), new Set([upgrade?.requestId]), 'the one that the app has');
  });
});

describe('accessLogFields', () => {
  it('TRC-04: are the fields of a line, headers among them; a reload changes them', async (t) => {
    const fields = ['url', 'status', 'request.header.X-Tenant', 'response.header.content-type', 'query', 'trace_id'];
    const s = await start(t, { accessLogFields: fields });
    const first = await request(s.target, '/pid?a=b', { headers: { 'x-tenant': 'ann "x"\t', traceparent } });
    assert.equal(first.headers['x-request-id'], undefined, 'no id is made that nobody asked for');
    const type = String(first.headers['content-type']);
    const [line] = await lines(s, 1);
    assert.deepEqual(Object.entries(line ?? {}), [
      ['url', '/pid?a=b'],
      ['status', 200],
      ['request.header.x-tenant', 'ann "x"'],
      ['response.header.content-type', type],
      ['query', 'a=b'],
      ['trace_id', trace],
    ]);
    writeConfig(join(s.dir, 'supervisor.config.mjs'), { ...log, accessLogFields: ['requestId', 'path'] });
    await s.reload();
    const second = await request(s.target, '/pid?a=c');
    const [, after] = await lines(s, 2);
    assert.deepEqual(after, { requestId: second.headers['x-request-id'], path: '/pid' });
  });
});

describe('accessLogSkip', () => {
  it('TRC-04: leaves lines out; the requests are counted all the same', async (t) => {
    const admin = await freePort();
    const s = await start(t, {
      accessLogSkip: ['/healthz', '/assets/*'],
      admin: `127.0.0.1:${admin}`,
      accessLogFields: ['url'],
    });
    for (const path of ['/healthz', '/healthz?x', '/assets/a.css', '/pid?1', '/healthz/x', '/pid?/assets/'])
      await request(s.target, path);
    const absolute = RawSocket.open(s.target).write(
      'GET http://a.example/healthz HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
    );
    await absolute.waitEnd();
    await request(s.target, '/pid?last');
    await until('the last line', () => textLines(s).some((line) => line.includes('last')));
    const urls = (await lines(s, 4)).map(({ url }) => url);
    assert.deepEqual(urls, ['/pid?1', '/healthz/x', '/pid?/assets/', '/pid?last']);
    await until('all of them to be counted', async () => {
      const { samples } = readExposition((await request({ port: admin }, '/metrics')).body);
      const counted = [...samples].filter(([name]) => name.startsWith('http_requests_total'));
      return counted.reduce((sum, [, count]) => sum + count, 0) >= 8;
    });
  });
});

describe('trustProxy', () => {
  const forwarded = { 'x-forwarded-for': '6.6.6.6, 203.0.113.7, 10.0.0.9', 'x-forwarded-proto': 'https' };

  it('TRC-03: has the client in both formats, and changes nothing that the app sees', async (t) => {
    const s = await start(
      t,
      { trustProxy: ['loopback', '10.0.0.0/8'] },
      { app: fixture('access-log/echo-headers.cjs') },
    );
    const { body } = await request(s.target, '/', { headers: forwarded });
    assert.equal((JSON.parse(body) as Line)['x-forwarded-for'], forwarded['x-forwarded-for']);
    await request(s.target, '/');
    await request(s.target, '/', { headers: { forwarded: 'for="[2001:db8::7]:4711";proto=https' } });
    await request(s.target, '/', { headers: { 'x-forwarded-for': '"},{"1.2.3.4' } });
    const found = (await lines(s, 4)).map(({ remoteAddress }) => remoteAddress);
    assert.deepEqual(found, ['203.0.113.7', '127.0.0.1', '2001:db8::7', '127.0.0.1']);
    const text = await start(t, { trustProxy: 2, accessLogFormat: '%(h)s %(m)s' });
    await request(text.target, '/pid', { headers: forwarded });
    await until('the line', () => textLines(text).length > 0);
    assert.deepEqual(textLines(text), ['203.0.113.7 GET']);
  });

  it('TRC-03: believes nobody unless told, and at a unix socket whoever may open it', async (t) => {
    const s = await start(t, {});
    await request(s.target, '/pid', { headers: forwarded });
    assert.equal((await lines(s, 1))[0]?.remoteAddress, '127.0.0.1');
    const unix = await start(t, { trustProxy: ['10.0.0.0/8'] }, { unix: true });
    await request(unix.target, '/pid', { headers: forwarded });
    await request(unix.target, '/pid');
    assert.deepEqual(
      (await lines(unix, 2)).map(({ remoteAddress }) => remoteAddress),
      ['203.0.113.7', '-'],
    );
  });
});
