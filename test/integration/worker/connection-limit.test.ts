/** `server.maxConnections`: a worker that is full leaves clients to the others. */
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { listeningRows } from '../../../src/system/proc-net.ts';
import { stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { type Answer, request } from '../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const most = 3;

async function serve(t: TestContext, workers: number, env: Record<string, string> = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, {
    app: fixture('worker/limited.cjs'),
    workers,
    env: { MOST: String(most), HOLD: '300', ...env },
  });
  await s.waitForLog(/^ready/);
  return s;
}

interface Outcome {
  readonly answers: readonly Answer[];
  readonly failed: number;
}

async function burst(s: Supervisor, sent: number): Promise<Outcome> {
  const settled = await Promise.allSettled(
    Array.from({ length: sent }, () => request(s.target, '/', { timeout: 20_000 })),
  );
  const answers = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = settled.filter(({ status }) => status === 'rejected').length;
  assert.equal(answers.length + failed, sent);
  assert.ok(answers.every(({ status }) => status === 200));
  return { answers, failed };
}

/** Connections that wait to be accepted. */
function waitingAt({ port }: Supervisor): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = [...listeningRows('/proc/self/net/tcp')].filter(([, local]) => local?.endsWith(end));
  return rows.reduce((sum, [, , , , queues]) => sum + Number.parseInt(queues?.split(':')[1] ?? '0', 16), 0);
}

function assertWithin({ answers }: Outcome): void {
  const counts = answers.map(({ body }) => Number(body.split(' ')[1]));
  assert.ok(Math.max(...counts) <= most, `connections at a time: ${counts.join(', ')}`);
}

describe('server.maxConnections', () => {
  it('APP: as many clients as there is room for in all workers are served, and those beyond wait', async (t) => {
    const s = await serve(t, 2);
    for (const sent of [2 * most, 4 * most]) {
      const outcome = await burst(s, sent);
      assert.equal(outcome.failed, 0, `${sent} clients`);
      assertWithin(outcome);
    }
    const pids = new Set((await burst(s, 2 * most)).answers.map(({ body }) => body.split(' ')[0]));
    assert.equal(pids.size, 2, 'no worker has more than it takes');
    assert.doesNotMatch(s.stdout.text + s.stderr.text, /dropped/);
    await stopClean(s);
  });

  it('APP: a reload while all are full, and a stop while clients wait, lose nobody', async (t) => {
    const s = await serve(t, 2);
    const during = burst(s, 4 * most);
    s.signal('SIGHUP');
    await s.waitForLog(/^reload \d+ done/);
    assert.equal((await during).failed, 0);
    // Connected, and in the queue, when the service is told to stop.
    const last = burst(s, 3 * most);
    await until('clients in the queue', () => waitingAt(s) > 0);
    await stopClean(s);
    assert.equal((await last).failed, 0);
  });

  it('APP: the limit may be raised while the server is full', async (t) => {
    const s = await serve(t, 2, { MOST: '1', HOLD: '1' });
    // Both workers are full for as long as the clients keep their connections.
    const clients = [new Agent({ keepAlive: true, maxSockets: 1 }), new Agent({ keepAlive: true, maxSockets: 1 })];
    t.after(() => {
      for (const agent of clients) agent.destroy();
    });
    for (const agent of clients) await request(s.target, '/', { agent });
    const waiting = request(s.target, '/', { timeout: 4_000 });
    const [agent] = clients;
    assert.ok(agent !== undefined);
    assert.equal((await request(s.target, '/more', { agent })).body, 'more');
    assert.equal((await waiting).status, 200);
    for (const each of clients) each.destroy();
    await stopClean(s);
  });

  it('APP: a worker that is the only one drops what is too much, as plain node does', async (t) => {
    const s = await serve(t, 1);
    const { answers, failed } = await burst(s, 2 * most);
    assert.deepEqual([answers.length, failed], [most, most]);
    assert.equal([...s.stdout.text.matchAll(/dropped/g)].length + [...s.stderr.text.matchAll(/dropped/g)].length, most);
    await stopClean(s);
  });

  it('APP: dropMaxConnection drops what is too much for one worker', async (t) => {
    const s = await serve(t, 2, { DROPS: 'yes' });
    const { failed } = await burst(s, 3 * most);
    assert.ok(failed >= most, `${failed} of ${3 * most}`);
    await stopClean(s);
  });
});
