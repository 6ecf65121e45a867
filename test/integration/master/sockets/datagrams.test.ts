/** UDP sockets that all workers share, and that the master owns. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { fdCount } from '../../../support/proc.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

async function start(t: TestContext, workers: number): Promise<{ s: Supervisor; udp: number }> {
  const udp = await freePort();
  const s = await startSupervisor(t, { app: fixture('node/udp.cjs'), workers, env: { UDP_PORT: String(udp) } });
  return { s: await s.waitReady(), udp };
}

/** Sends one datagram; the pid of who answered, or `null` if nobody did. */
async function ask(port: number): Promise<number | null> {
  const socket = dgram.createSocket('udp4');
  socket.on('error', () => {});
  try {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(1_000) });
    socket.send('who', port, '127.0.0.1');
    const [text] = await answered;
    return Number(text);
  } catch {
    return null;
  } finally {
    socket.close();
  }
}

describe('a UDP socket of the app', () => {
  it('is bound once for all workers, stays for the others when one dies, and through a reload', async (t) => {
    const { s, udp } = await start(t, 2);
    const before = s.workers();
    assert.equal(before.length, 2);
    assert.ok(before.includes((await ask(udp)) ?? 0));
    const [first = 0] = before;
    process.kill(first, 'SIGKILL');
    await until('an answer', async () => (await ask(udp)) !== null);
    await until('two workers', () => s.workers().filter((pid) => pid !== first).length === 2);
    assert.match((await s.reload()).msg, /done/);
    await until('a new worker to answer', async () => {
      const pid = await ask(udp);
      return pid !== null && !before.includes(pid);
    });
    await stopClean(s, { allow: /SIGKILL|was killed/ });
  });

  it('is closed with the last that uses it, and leaves nothing behind', async (t) => {
    const { s, udp } = await start(t, 1);
    const fds = fdCount(s.pid);
    await requestJson(s.target, '/close');
    await until('the descriptor', () => fdCount(s.pid) === fds - 1);
    // Its port is free again.
    const own = dgram.createSocket('udp4').bind(udp, '127.0.0.1');
    await once(own, 'listening');
    own.close();
    for (let round = 0; round < 5; round++) {
      const { results } = await requestJson(s.target, '/open?n=20');
      assert.deepEqual(results, Array(20).fill('bound'));
      assert.equal(fdCount(s.pid), fds - 1 + 20);
      await requestJson(s.target, '/close');
      await until('the descriptors', () => fdCount(s.pid) === fds - 1);
    }
    await stopClean(s);
  });

  it('is one of so many that a worker may have', async (t) => {
    const { s } = await start(t, 1);
    const fds = fdCount(s.pid);
    const { results } = await requestJson(s.target, '/open?n=70');
    assert.deepEqual(results, [...Array(63).fill('bound'), ...Array(7).fill('EMFILE')]);
    const [pid = 0] = s.workers();
    process.kill(pid, 'SIGKILL');
    await until('another worker', async () => {
      const { status } = await request(s.target, '/pid').catch(() => ({ status: 0 }));
      return status === 200 && !s.workers().includes(pid);
    });
    await until('the descriptors', () => fdCount(s.pid) <= fds);
    await stopClean(s, { allow: /SIGKILL|was killed/ });
  });
});
