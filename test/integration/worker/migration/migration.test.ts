/** Connections outlive their worker: clients keep theirs, whatever becomes of the worker. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Status } from '../../../../src/protocol/status.ts';
import { stopClean } from '../../../support/invariants.ts';
import { type Load, startLoad } from '../../../support/load/child.ts';
import { type Group, table, total } from '../../../support/load/mix.ts';
import { startService, stopService } from '../../../support/masters.ts';
import { fixture } from '../../../support/paths.ts';
import { connectionsOf } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

const timeout = stretched(120_000);
const workers = 3;
/** Those that never pause, and those that do. */
const groups: readonly Group[] = [
  { kind: 'busy', clients: 6 },
  { kind: 'idle', clients: 24, think: 400 },
];
const clients = 30;
/** Milliseconds between two. */
const heartbeat = 500;

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers, args: ['--control-socket', 'app.ctl'], ...options });
  await s.waitReady();
  return s;
}

async function statusOf(s: Supervisor): Promise<Status> {
  return (await requestJson({ socketPath: join(s.dir, 'app.ctl') }, '/status')) as unknown as Status;
}

/** Nothing has failed, and nobody had to connect anew. */
async function assertKept(load: Load): Promise<void> {
  await load.further(200);
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, table(report));
  assert.equal(all.connections, clients, table(report));
}

describe('connections that move', { timeout }, () => {
  it('MIG-02 over reloads, recycles, a smaller pool and TERM to a worker', async (t) => {
    const s = await start(t);
    const load = startLoad(t, { target: s.target, groups });
    await load.answered(100);
    for (let reload = 0; reload < 3; reload += 1) assert.match((await s.reload()).msg, / done /, s.describe());
    const [termed = 0] = s.workers();
    process.kill(termed, 'SIGTERM');
    await until('its replacement', () => !s.workers().includes(termed) && s.workers().length === workers);
    s.signal('SIGTTOU');
    await s.waitWorkers(workers - 1);
    await assertKept(load);
    const { migration } = await statusOf(s);
    assert.ok(migration !== undefined && migration.moved >= clients, JSON.stringify(migration));
    assert.equal(migration.lost, 0);
    await stopClean(s);
  });

  it('MIG-02 over upgrades', async (t) => {
    const service = await startService(t);
    const load = startLoad(t, { target: service.s.target, groups });
    await load.answered(100);
    for (let upgrade = 0; upgrade < 3; upgrade += 1) {
      const now = await service.masters.upgrade();
      await load.heardFrom(service.masters.workers(now));
    }
    await assertKept(load);
    await stopService(service);
  });

  it('MIG-02 requests of which a part arrived before the reload, and a part after it, are answered', async (t) => {
    const s = await start(t);
    const idle = await RawSocket.connected(s.target);
    idle.write(head('/pid'));
    await idle.answered();
    const half = await RawSocket.connected(s.target);
    const [first, second] = [head('/pid').slice(0, 20), head('/pid').slice(20)];
    half.write(first);
    await s.arrived(2);
    await s.reload();
    idle.write(head('/pid').slice(0, 9));
    half.write(second);
    await half.answered();
    idle.write(head('/pid').slice(9));
    await idle.answered(2);
    for (const socket of [idle, half]) {
      socket.write(head('/pid'));
      await socket.answered(socket === idle ? 3 : 2);
      assert.doesNotMatch(socket.text, /^Connection: close/im);
      socket.close();
    }
    await stopClean(s);
  });

  it('MIG-03 with migration off they end with their worker, and clients are told so', async (t) => {
    const s = await start(t, { args: ['--control-socket', 'app.ctl', '--no-migration'] });
    const load = startLoad(t, { target: s.target, groups });
    await load.answered(100);
    await s.reload();
    await load.further(200);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    assert.ok(total(report).connections > clients, table(report));
    assert.deepEqual((await statusOf(s)).migration, { on: false, moved: 0, lost: 0, kept: {} });
    await stopClean(s);
  });

  it('MIG-03 a connection stays if the app has put something on it', async (t) => {
    const s = await start(t, {
      app: fixture('migration/app.cjs'),
      workers: 2,
      args: ['--control-socket', 'app.ctl', '--replace-linger', '500ms'],
    });
    const states = ['/listener', '/property', '/pid'];
    const sockets = await Promise.all(
      states.map(async (path) => {
        const socket = await RawSocket.connected(s.target);
        socket.write(head(path));
        await socket.answered();
        return socket;
      }),
    );
    await s.reload();
    await s.waitWorkers(2);
    await until('its end', () => sockets.slice(0, 2).every(({ ending }) => ending === 'fin'));
    assert.equal(sockets[2]?.ending, 'open');
    await until('the report', async () => ((await statusOf(s)).migration?.kept.app ?? 0) === 2);
    await stopClean(s);
  });

  it('MIG-04 workers that are killed while connections move take only their own with them', async (t) => {
    const s = await start(t);
    const load = startLoad(t, { target: s.target, groups });
    await load.answered(100);
    let killed = 0;
    for (let round = 0; round < 4; round += 1) {
      const reloaded = s.reload();
      await load.further(20);
      const [victim] = s.workers().sort(() => Math.random() - 0.5);
      if (victim !== undefined) {
        killed += 1;
        process.kill(victim, 'SIGKILL');
      }
      await reloaded;
      await until('full strength', () => s.workers().length >= workers);
    }
    await load.further(200);
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failures.get('client-timeout'), undefined, table(report));
    // What the dead had: at worst every connection of each.
    assert.ok(all.failed <= killed * clients, table(report));
    const idle = await RawSocket.connected(s.target);
    idle.write(head('/pid'));
    await idle.answered();
    await stopClean(s, { allow: /killed|SIGKILL|exited unasked|half way|rejected/ });
  });

  it('MIG-04 a master that is killed in the middle of a reload: every connection is answered, or ends in good order', async (t) => {
    const s = await start(t);
    const sockets = await Promise.all(Array.from({ length: 60 }, () => RawSocket.connected(s.target)));
    for (const socket of sockets) socket.write(head('/pid'));
    for (const socket of sockets) await socket.answered();
    const { length } = s.log;
    s.signal('SIGHUP');
    await s.waitForLog(/^worker retires/, { since: length });
    s.signal('SIGKILL');
    for (const socket of sockets) socket.write(head('/pid'));
    await until('answers or ends', () =>
      sockets.every(({ ending, responses }) => ending !== 'open' || responses === 2),
    );
    assert.deepEqual(
      sockets.filter(({ ending, responses }) => ending !== 'fin' && responses < 2).map(({ ending }) => ending),
      [],
    );
    for (const socket of sockets) socket.close();
    await until('its workers to be gone', () => s.processesLeft().length === 0, { within: stretched(40_000) });
  });

  it('MIG-02 an app that listens on its sockets during a request, as on-finished does', async (t) => {
    const s = await start(t, { app: fixture('migration/app.cjs'), workers: 2 });
    const load = startLoad(t, {
      target: s.target,
      groups: [{ kind: 'slow', clients: 10, path: '/meanwhile' }],
    });
    await load.answered(20);
    for (let reload = 0; reload < 3; reload += 1) await s.reload();
    await load.further(40);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    assert.equal(total(report).connections, 10, table(report));
    await stopClean(s);
  });

  it('MIG-05 a worker that has no descriptor left takes nothing, and nothing is lost', async (t) => {
    const s = await start(t, {
      app: fixture('migration/app.cjs'),
      workers: 2,
      env: { MANY_FILES: '1' },
    });
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'idle', clients: 20, think: 200 }] });
    await load.answered(60);
    for (let reload = 0; reload < 2; reload += 1) await s.reload();
    await load.further(60);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    assert.equal((await statusOf(s)).migration?.lost, 0);
    await stopClean(s, { allow: /descriptor/ });
  });

  it('MIG-05 more idle connections than the queue holds', async (t) => {
    const s = await start(t, { workers: 2 });
    const many = 800;
    const sockets: RawSocket[] = [];
    for (let count = 0; count < many; count += 1) sockets.push(RawSocket.open(s.target));
    for (const socket of sockets) socket.write(head('/pid'));
    for (const socket of sockets) await socket.answered();
    await s.reload();
    await s.waitWorkers(2);
    for (const socket of sockets) socket.write(head('/pid'));
    for (const socket of sockets) await socket.answered(2);
    const told = sockets.filter(({ text }) => /^Connection: close/im.test(text)).length;
    const ended = sockets.filter(({ ending }) => ending === 'reset').length;
    assert.equal(ended, 0);
    assert.equal(told, 0, 'connections that were told to leave');
    for (const socket of sockets) socket.close();
    await stopClean(s);
  });

  it('MIG-06 they lie evenly soon after they were opened, after a reload, and in a pool that has grown', async (t) => {
    const s = await start(t, { workers: 4 });
    const sockets = await Promise.all(Array.from({ length: 40 }, () => RawSocket.connected(s.target)));
    for (const socket of sockets) socket.write(head('/pid'));
    for (const socket of sockets) await socket.answered();
    const spread = (): number[] => s.workers().map((pid) => connectionsOf(pid, s.port));
    const isEven = (count: number): boolean => {
      const counts = spread();
      const sum = counts.reduce((all, each) => all + each, 0);
      return counts.length === count && sum === 40 && Math.max(...counts) - Math.min(...counts) <= 2;
    };
    await until('40 connections on 4 workers', () => isEven(4));
    await s.reload();
    await until('the same after a reload', () => isEven(4));
    for (let more = 1; more <= 2; more += 1) {
      s.signal('SIGTTIN');
      await s.waitWorkers(4 + more);
    }
    await until('40 connections on 6 workers', () => isEven(6));
    const moved = async (): Promise<number> => (await statusOf(s)).migration?.moved ?? 0;
    await until('what is on its way to have arrived', async () => {
      const earlier = await moved();
      await pause(3 * heartbeat);
      return earlier === (await moved());
    });
    const before = await moved();
    for (const socket of sockets) socket.write(head('/pid'));
    for (const socket of sockets) await socket.answered(2);
    await pause(3 * heartbeat);
    assert.equal(await moved(), before, 'moved while all was even');
    for (const socket of sockets) socket.close();
    await stopClean(s);
  });
});
