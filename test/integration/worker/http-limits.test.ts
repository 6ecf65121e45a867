/** What Node refuses of HTTP is refused under prefork too, on the app's port and on our own: SEC-11. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { RawSocket } from '../../support/raw.ts';
import { freePort, request, type Target } from '../../support/request.ts';
import { startSupervisor } from '../../support/supervisor.ts';

const post = (...headers: string[]): string => ['POST / HTTP/1.1', 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
const get = (...headers: string[]): string => ['GET / HTTP/1.1', 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');

/** What is wrong is in the head: it is refused, and never seen by any app. */
const badHeads: Readonly<Record<string, string>> = {
  'Content-Length and Transfer-Encoding': `${post('Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'two lengths': `${post('Content-Length: 4', 'Content-Length: 5')}abcd`,
  'a length with a sign': `${post('Content-Length: +4')}abcd`,
  'chunked, but not last': `${post('Transfer-Encoding: chunked, identity')}0\r\n\r\n`,
  'a space before the colon': `${post('Content-Length : 4')}abcd`,
  'lines that end with LF alone': 'GET / HTTP/1.1\nHost: 127.0.0.1\n\n',
  'a header that ends with LF alone': get('X-A: b\nX-C: d'),
  'NUL in a header': get('X-A: b\0c'),
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'headers without end': get(`X-A: ${'a'.repeat(17_000)}`),
  'no HTTP': '\x16\x03\x01\x02\r\n\r\n',
};

/** What is wrong is in the body: an app may have answered by then, and nothing that follows is read. */
const badBodies: Readonly<Record<string, string>> = {
  'chunk extensions without end': `${post('Transfer-Encoding: chunked')}1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`,
  'a trailer that ends with LF alone': `${post('Transfer-Encoding: chunked')}0\r\nX: y\nZ: w\r\n\r\n`,
  'a chunk that is longer than it says': `${post('Transfer-Encoding: chunked')}5\r\nabcdeXX\r\n0\r\n\r\n`,
};

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';

/** @returns the statuses of what came back before the connection was closed by the other side */
async function statusesFor(target: Target, bytes: string): Promise<string[]> {
  const socket = await RawSocket.connected(target);
  try {
    socket.write(Buffer.from(bytes + smuggled, 'latin1'));
    assert.notEqual(await socket.waitEnd(20_000), 'open', `it is closed: ${socket.text}`);
    return [...socket.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = '']) => status);
  } finally {
    socket.close();
  }
}

describe('SEC-11', () => {
  it('malformed requests are refused, the connection is closed, and nothing that came with them is read', async (t) => {
    const admin = await freePort();
    const s = await startSupervisor(t, { workers: 1, args: ['--admin', `127.0.0.1:${admin}`, '--access-log', '-'] });
    await s.waitReady();
    for (const [what, bytes] of Object.entries(badHeads)) {
      const expected = what === 'headers without end' ? ['431'] : ['400'];
      assert.deepEqual(await statusesFor(s.target, bytes), expected, `the app: ${what}`);
      assert.deepEqual(await statusesFor({ port: admin }, bytes), expected, `admin: ${what}`);
    }
    for (const [what, bytes] of Object.entries(badBodies)) {
      const ofApp = await statusesFor(s.target, bytes);
      assert.ok(ofApp.filter((status) => status !== '400').length <= 1, `the app: ${what}: ${ofApp}`);
      const ofAdmin = await statusesFor({ port: admin }, bytes);
      assert.ok(ofAdmin.length <= 1 && ofAdmin.every((status) => status >= '400'), `admin: ${what}: ${ofAdmin}`);
    }
    const twoHosts = 'GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    assert.deepEqual(await statusesFor({ port: admin }, twoHosts), ['400']);
    assert.equal((await request(s.target, '/healthz')).status, 200);
    await stopClean(s, { ports: [admin] });
    // The log is complete when the service is gone.
    assert.match(s.stdout.text, /\/healthz/);
    assert.doesNotMatch(s.stdout.text, /smuggled/);
  });

  it('Node’s own limits hold for the app’s servers, but for idle connections, which proxies keep longer', async (t) => {
    const app = fixture('node/limits.cjs');
    const s = await startSupervisor(t, { workers: 1, app });
    await s.waitReady();
    const limits = JSON.parse((await request(s.target, '/')).body) as Record<string, unknown>;
    assert.deepEqual(limits.here, { ...(limits.fresh as object), keepAliveTimeout: 75_000 });
    assert.deepEqual(limits.options, []);
    await stopClean(s);
  });
});
