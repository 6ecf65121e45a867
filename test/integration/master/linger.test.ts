/** Idle connections that cannot move to another worker, over TLS, while their worker is replaced and while all stop. */
import assert from 'node:assert/strict';
import https from 'node:https';
import { describe, type TestContext, test } from 'node:test';
import { assertClean, stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { stretched } from '../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { pause, stays, until } from '../../support/until.ts';

interface Answer {
  readonly pid: number;
  readonly connection: string | undefined;
}

/** A client that keeps its one connection, and never tries again. */
class Kept {
  readonly #port: number;
  readonly #agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  /** Connections that it has opened. */
  opened = 0;
  isClosed = false;

  constructor(t: TestContext, port: number) {
    this.#port = port;
    t.after(() => this.#agent.destroy());
  }

  ask(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { port: this.#port, host: '127.0.0.1', agent: this.#agent, rejectUnauthorized: false };
      const request = https.get(options, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ pid: Number(body), connection: response.headers.connection }));
        response.on('error', reject);
      });
      request.on('socket', (socket) => {
        if (request.reusedSocket) return;
        this.opened += 1;
        this.isClosed = false;
        socket.once('close', () => {
          this.isClosed = true;
        });
      });
      request.on('error', reject);
    });
  }
}

async function start(t: TestContext, args: readonly string[] = []): Promise<Supervisor> {
  const app = fixture('node/https-kept.mjs');
  const s = await startSupervisor(t, { app, workers: 1, secure: true, args });
  await s.waitReady(30_000);
  return s;
}

async function reload(s: Supervisor, number: number): Promise<void> {
  s.signal('SIGHUP');
  await s.waitForLog(new RegExp(`^reload ${number} done`), { within: 30_000 });
}

describe('CONN-12: an idle connection over TLS', () => {
  test('is closed after its next answer, however late that is, and its worker leaves then', async (t) => {
    const s = await start(t);
    const client = new Kept(t, s.port);
    const { pid, connection } = await client.ask();
    assert.equal(connection, 'keep-alive');
    await reload(s, 1);
    // Longer than what somebody waits for would keep it.
    await stays('open', () => !client.isClosed, 3_500);
    assert.deepEqual(await client.ask(), { pid, connection: 'close' });
    assert.equal(client.opened, 1);
    await until('the end of the old worker', () => !s.children().some((child) => child.pid === pid));
    const next = await client.ask();
    assert.notEqual(next.pid, pid);
    assert.deepEqual([next.connection, client.opened], ['keep-alive', 2]);
    await stopClean(s);
  });

  test('does not hold up a stop that comes after the reload', async (t) => {
    const s = await start(t);
    const client = new Kept(t, s.port);
    await client.ask();
    await reload(s, 1);
    await pause(200);
    const startedAt = performance.now();
    s.signal('SIGTERM');
    const { code } = await s.waitExit(stretched(8_000));
    assert.equal(code, 0);
    // Less than the earliest end of what nobody waits for.
    assert.ok(performance.now() - startedAt < Math.min(stretched(4_000), 11_000));
    await assertClean(s);
  });

  test('does not hold up reloads: of the workers that others have replaced, four at most linger', async (t) => {
    const s = await start(t);
    const clients: Kept[] = [];
    for (let number = 1; number <= 7; number++) {
      const client = new Kept(t, s.port);
      await client.ask();
      clients.push(client);
      await reload(s, number);
    }
    await until('no more than four', () => clients.filter(({ isClosed }) => !isClosed).length <= 4);
    // The newest ones.
    assert.deepEqual(
      clients.map(({ isClosed }) => isClosed),
      [true, true, true, false, false, false, false],
    );
    await stopClean(s);
  });

  test('is kept for drainLinger if that is all that was configured', async (t) => {
    const s = await start(t, ['--drain-linger', '500ms']);
    const client = new Kept(t, s.port);
    await client.ask();
    await reload(s, 1);
    await until('the close', () => client.isClosed, { within: stretched(2_000) });
    await stopClean(s);
  });
});
