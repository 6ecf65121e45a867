/** Requests that take long are reported while they run: LIM-01. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { readExposition } from '../../../support/exposition.ts';
import { stopClean } from '../../../support/invariants.ts';
import type { LogLine } from '../../../support/log-reader.ts';
import { fixture } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

async function start(t: TestContext, app: string, config: Readonly<Record<string, unknown>>): Promise<Supervisor> {
  const s = await startSupervisor(t, { app: fixture(`limits/${app}.mjs`), workers: 1, config });
  return await s.waitReady();
}

function linesOf(s: Supervisor, pattern: RegExp): LogLine[] {
  return s.log.filter(({ msg }) => pattern.test(msg));
}

async function slowCount(admin: number): Promise<number> {
  const { samples } = readExposition((await request({ port: admin }, '/metrics')).body);
  return samples.get('prefork_slow_requests_total{}') ?? -1;
}

describe('slowRequest', () => {
  it('LIM-01: is reported once while it runs, by method, URL, route, id, age and worker, and when it ends', async (t) => {
    const admin = await freePort();
    const s = await start(t, 'express', { slowRequest: '300ms', admin: `127.0.0.1:${admin}` });
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
    const slow = request(s.target, '/hang?ms=1500', { headers: { 'x-request-id': 'abc-1', traceparent } });
    let isOver = false;
    void slow.finally(() => {
      isOver = true;
    });
    const warning = await s.waitForLog(
      /^slow request: GET \/hang\?ms=1500 \(route \/hang, request id abc-1, trace 4bf92f3577b34da6a3ce929d0e0e4736\) runs for /,
    );
    assert.equal(isOver, false, 'it is said while it runs');
    assert.equal(warning.trace_id, trace);
    const { level, method, url, route, requestId, slot, state, ageMs } = warning;
    assert.deepEqual(
      { level, method, url, route, requestId, slot, state },
      { level: 40, method: 'GET', url: '/hang?ms=1500', route: '/hang', requestId: 'abc-1', slot: 0, state: 'running' },
    );
    assert.ok(Number(ageMs) >= 300 && Number(ageMs) < 1_500, String(ageMs));
    assert.equal((await slow).status, 201);
    const end = await s.waitForLog(/^slow request: .* took 1\.\d\d s in all, answered with 201$/);
    assert.ok(Number(end.durationMs) >= 1_400);
    await until('the count', async () => (await slowCount(admin)) === 1);
    assert.equal(linesOf(s, /^slow request/).length, 2);
    // One that blocks the event loop has ended before there is another look; one whose client leaves has an end too.
    await request(s.target, '/state');
    const leaving = await RawSocket.connected(s.target);
    leaving.write(head('/hang?ms=3000'));
    await s.waitForLog(/^slow request: GET \/hang\?ms=3000 .*runs for/);
    leaving.close();
    await s.waitForLog(/^slow request: GET \/hang\?ms=3000 .* in all, then its client left$/);
    await until('the count', async () => (await slowCount(admin)) === 2);
    await stopClean(s, { ports: [admin] });
  });

  it('LIM-01: where the event loop is blocked, the stack is in the log, with the requests in flight', async (t) => {
    const admin = await freePort();
    const s = await start(t, 'plain', { slowRequest: '500ms', blockedWarning: 0, admin: `127.0.0.1:${admin}` });
    const blocked = request(s.target, '/block?ms=4000');
    const stuck = await s.waitForLog(/^worker's event loop is blocked for .* serving GET \/block\?ms=4000 for /);
    assert.match(String((stuck.stack as string[])[0]), /limits\/plain\.mjs/);
    assert.equal((stuck.requests as { url: string }[])[0]?.url, '/block?ms=4000');
    assert.equal((await blocked).status, 200);
    await s.waitForLog(/^slow request: GET \/block\?ms=4000 took [4-9]\.\d\d s in all, answered with 200$/);
    await until('the count', async () => (await slowCount(admin)) === 1);
    await stopClean(s, { allow: /event loop is blocked/, ports: [admin] });
  });

  it('LIM-01: three hundred at once are a few lines, and how many more; all of them are counted', async (t) => {
    const admin = await freePort();
    const s = await start(t, 'plain', { slowRequest: '300ms', admin: `127.0.0.1:${admin}` });
    const all = await Promise.all(
      Array.from({ length: 300 }, () => request(s.target, '/?ms=1500', { timeout: 30_000 })),
    );
    assert.ok(all.every(({ status }) => status === 200));
    await until('the count', async () => (await slowCount(admin)) === 300);
    const { more } = await s.waitForLog(/^\d+ more slow requests are not listed/, { within: 30_000 });
    const running = linesOf(s, /^slow request: .* runs for/).length;
    const ended = linesOf(s, /^slow request: .* in all/).length;
    assert.ok(running >= 1 && running <= 10 && ended >= running && ended <= 10, `${running} ${ended}`);
    assert.equal(Number(more) + ended, 300);
    await stopClean(s, { ports: [admin] });
  });

  it('LIM-01: event streams and WebSockets are not slow, however long they last', async (t) => {
    const s = await start(t, 'plain', { slowRequest: '200ms' });
    const raw = await RawSocket.connected(s.target);
    await raw.write(head('/events')).waitFor(/data: 1/);
    const socket = new WebSocket(`ws://127.0.0.1:${s.port}`);
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    // Time enough for several looks; a request that is slow shows that there were some.
    await pause(1_000);
    await request(s.target, '/?ms=600');
    await s.waitForLog(/^slow request: GET \/\?ms=600 took/);
    raw.close();
    socket.close();
    await until('the end of the streams', async () => (await request(s.target, '/state')).status === 200);
    await request(s.target, '/?ms=600&again');
    await s.waitForLog(/^slow request: GET \/\?ms=600&again took/);
    assert.equal(linesOf(s, /^slow request: GET \/events/).length, 0);
    await stopClean(s);
  });

  it('LIM-01: over HTTP/2 as well', async (t) => {
    const { default: http2 } = await import('node:http2');
    const s = await startSupervisor(t, {
      app: fixture('limits/plain.mjs'),
      workers: 1,
      config: { slowRequest: '200ms' },
      env: { HTTP2: '1' },
    });
    await s.waitReady();
    const session = http2.connect(`http://127.0.0.1:${s.port}`);
    t.after(() => session.destroy());
    session.on('error', () => {});
    for (const [method, ms] of [
      ['GET', 700],
      ['HEAD', 701],
    ] as const) {
      const stream = session.request({ ':path': `/?ms=${ms}`, ':method': method, 'x-request-id': 'two' });
      stream.resume();
      await new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject));
      await s.waitForLog(new RegExp(`^slow request: ${method} /\\?ms=${ms} \\(request id two\\) runs for`));
      await s.waitForLog(new RegExp(`^slow request: ${method} /\\?ms=${ms} .* in all, answered with 200`));
    }
    session.close();
    await stopClean(s);
  });
});
