/** Socket.IO clients that poll need the worker that has their session: where they do not get it, the log says so. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { io, type Socket } from 'socket.io-client';
import { stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { request } from '../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const app = fixture('websocket/socket-io-polling.mjs');
const warning = /^a Socket\.IO client polls/;

function warnings({ log }: Supervisor): string[] {
  return log.map(({ msg }) => msg).filter((msg) => warning.test(msg));
}

/** What becomes of a real client: `null` is an echo, all else the reason why there is none. */
function attempt(t: TestContext, { port }: Supervisor, transport: string): Promise<string | null> {
  const socket: Socket = io(`http://127.0.0.1:${port}`, {
    forceNew: true,
    reconnection: false,
    transports: [transport],
  });
  t.after(() => socket.close());
  return new Promise((resolve) => {
    socket.on('connect', () => socket.emit('echo', 1, () => done(null)));
    socket.on('connect_error', ({ message }) => done(message));
    socket.on('disconnect', (reason) => done(reason));
    const done = (outcome: string | null): void => {
      resolve(outcome);
      socket.close();
    };
  });
}

/** Opens a session, and sends to it by connections of their own until one reaches another worker. */
async function missOnce({ target }: Supervisor, path: string): Promise<void> {
  const session = `${path}/?EIO=4&transport=polling`;
  const opened = await request(target, session);
  const sid = /"sid":"([^"]+)"/.exec(opened.body)?.[1];
  assert.ok(sid !== undefined, opened.body);
  await until('a request that reaches another worker', async () => {
    const answer = await request(target, `${session}&sid=${sid}`, { method: 'POST', body: '3' });
    return answer.status === 400 && answer.body.includes('Session ID unknown');
  });
}

describe('Socket.IO by polling', () => {
  it('with several workers the log says once what to do, whatever the path is', async (t) => {
    const env = { SOCKET_PATH: '/live' };
    const supervisor = await startSupervisor(t, { app, workers: 3, env });
    await supervisor.waitReady();
    await missOnce(supervisor, '/live');
    const line = await supervisor.waitForLog(warning);
    assert.match(line.msg, /transports: \['websocket'\]/);
    assert.match(line.msg, /workers: 1/);
    // Every worker has met one by then.
    for (let session = 0; session < 12; session++) await missOnce(supervisor, '/live');
    assert.equal(warnings(supervisor).length, 1);
    await stopClean(supervisor);
  });

  it('by WebSocket alone every client works, and nothing is said', async (t) => {
    const supervisor = await startSupervisor(t, { app, workers: 3 });
    await supervisor.waitReady();
    for (let client = 0; client < 12; client++) {
      assert.equal(await attempt(t, supervisor, 'websocket'), null);
    }
    assert.deepEqual(warnings(supervisor), []);
    await stopClean(supervisor);
  });

  it('with one worker every client works; a session that a reload has ended is no reason to warn', async (t) => {
    const supervisor = await startSupervisor(t, { app, workers: 1 });
    await supervisor.waitReady();
    for (let client = 0; client < 6; client++) {
      assert.equal(await attempt(t, supervisor, 'polling'), null);
    }
    const unknown = await request(supervisor.target, '/socket.io/?EIO=4&transport=polling&sid=gone');
    assert.equal(unknown.status, 400);
    await supervisor.reload();
    assert.deepEqual(warnings(supervisor), []);
    await stopClean(supervisor);
  });

  it('any other 400 is the app’s own affair', async (t) => {
    const supervisor = await startSupervisor(t, { app, workers: 2 });
    await supervisor.waitReady();
    for (const path of ['/socket.io/?EIO=4&transport=none', '/socket.io/?EIO=2&transport=polling']) {
      assert.equal((await request(supervisor.target, path)).status, 400);
    }
    await supervisor.reload();
    assert.deepEqual(warnings(supervisor), []);
    await stopClean(supervisor);
  });
});
