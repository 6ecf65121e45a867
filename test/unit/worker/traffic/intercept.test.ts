/** Requests that are answered before the app could see them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2, { type ClientHttp2Session } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { HealthAnswers } from '../../../../src/worker/traffic/intercept.ts';
import { Traffic } from '../../../../src/worker/traffic/traffic.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { until } from '../../../support/until.ts';

const health: HealthAnswers = {
  answerTo: (_method, url) =>
    url === '/health' ? { status: 202, headers: { 'x-health': 'yes', 'content-length': 4 }, body: 'well' } : null,
};

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('HTTP/1', () => {
  const traffic = new Traffic({ keepAlive: 0, health });
  const server = http.createServer((request, response) => {
    seen.push(request.url);
    response.end('app');
  });
  const seen: unknown[] = [];
  const finished: unknown[] = [];
  const begun: unknown[] = [];
  let port = 0;

  before(async () => {
    traffic.track(server);
    traffic.subscribe({
      onRequest: ({ newest }, response) => begun.push([response.req.url, response.headersSent, newest === response]),
      onFinished: ({ url }, { statusCode }) => finished.push([url, statusCode]),
    });
    port = await portOf(server);
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    traffic.reject(false);
    for (const list of [seen, finished, begun]) list.length = 0;
  });

  async function answerTo(bytes: string): Promise<string> {
    const raw = await RawSocket.connected({ port });
    await raw.write(bytes).waitFor(/\r\n\r\n/);
    await raw.waitEnd();
    return raw.text;
  }
  const close = { Connection: 'close' };

  it('a health check is answered without the app, told before its head is sent, and is no request that has ended', async () => {
    const text = await answerTo(head('/health') + head('/app', close));
    assert.match(text, /^HTTP\/1\.1 202 Accepted\r\nx-health: yes[\s\S]*\r\n\r\nwellHTTP\/1\.1 200 OK/);
    assert.deepEqual(seen, ['/app']);
    assert.deepEqual(begun, [
      ['/health', false, true],
      ['/app', false, true],
    ]);
    assert.deepEqual(finished, [['/app', 200]]);
  });

  it('the body of a health check is left out for HEAD, and read for POST', async () => {
    assert.match(await answerTo(head('/health', close, 'HEAD')), /content-length: 4\r\n[\s\S]*\r\n\r\n$/);
    const post = head('/health', { 'Content-Length': '4' }, 'POST');
    assert.match(await answerTo(`${post}body${head('/app', close)}`), /well[\s\S]*app$/);
  });

  it('what is turned away gets 503 and ends its connection; it is a request that has ended', async () => {
    traffic.reject(true);
    const text = await answerTo(head('/app') + head('/never'));
    assert.match(text, /^HTTP\/1\.1 503 [\s\S]*retry-after: 5\r\n[\s\S]*The service is stopping\.\n$/);
    assert.equal(text.match(/^connection: close\r$/gim)?.length, 1);
    assert.deepEqual(seen, []);
    await until('the end', () => finished.length > 0);
    assert.deepEqual(finished[0], ['/app', 503]);
    assert.match(await answerTo(head('/health', close)), /^HTTP\/1\.1 202/);
  });

  it('a client that waits for "100 Continue" is turned away as well', async () => {
    server.once('checkContinue', () => seen.push('checkContinue'));
    traffic.reject(true);
    const upload = head('/upload', { Expect: '100-continue', 'Content-Length': '4' }, 'POST');
    assert.match(await answerTo(upload), /^HTTP\/1\.1 503 /);
    assert.deepEqual(seen, []);
    server.removeAllListeners('checkContinue');
  });
});

describe('HTTP/2', () => {
  const traffic = new Traffic({ keepAlive: 0, health });
  const server = http2.createServer((request, response) => {
    seen.push(request.url);
    response.end('app');
  });
  const seen: unknown[] = [];
  let client: ClientHttp2Session;

  before(async () => {
    traffic.track(server);
    client = http2.connect(`http://127.0.0.1:${await portOf(server)}`);
  });
  after(() => {
    client.destroy();
    server.close();
  });

  async function answerTo(path: string, method = 'GET'): Promise<{ status: unknown; body: string }> {
    const stream = client.request({ ':path': path, ':method': method });
    let body = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    const ended = once(stream, 'end');
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    await ended;
    return { status: headers[':status'], body };
  }

  it('a health check is answered without the app, and what is turned away is too', async () => {
    assert.deepEqual(await answerTo('/health'), { status: 202, body: 'well' });
    assert.deepEqual(await answerTo('/health', 'HEAD'), { status: 202, body: '' });
    assert.deepEqual(await answerTo('/app'), { status: 200, body: 'app' });
    traffic.reject(true);
    assert.deepEqual(await answerTo('/app'), { status: 503, body: '' });
    assert.deepEqual(await answerTo('/health'), { status: 202, body: 'well' });
    assert.deepEqual(seen, ['/app']);
  });
});
