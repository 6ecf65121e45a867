/** Upgrade of the master itself: a new one takes over the sockets, and the old one leaves when it is ready. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertClean, assertFree } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import { startService as start, stopService as stop, underLoad } from '../../../support/masters.ts';
import { fixture } from '../../../support/paths.ts';
import { fdCount, listeningOn } from '../../../support/proc.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { until } from '../../../support/until.ts';

const timeout = stretched(120_000);

describe('upgrade under load', { timeout }, () => {
  const rounds = 20;
  it(`UPG-01 UPG-05: ${rounds} upgrades in a row, four kinds of client: nothing fails, nothing is left over`, async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const { load, calm } = await underLoad(t, service, 50);
    const figures: { fds: number; processes: number; environment: number }[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      const old = masters.current();
      const now = await masters.upgrade();
      assert.notEqual(now, old);
      await load.heardFrom(masters.workers(now));
      // The new one and its workers. A sentinel has no environment to be found by.
      await masters.until('nobody but the new ones', () => s.processesLeft().length === 3);
      figures.push({
        fds: fdCount(now),
        processes: s.processesLeft().length,
        environment: readFileSync(`/proc/${masters.workers(now)[0]}/environ`).length,
      });
    }
    t.diagnostic(table(await calm()));
    const [first, last] = [figures[0], figures.at(-1)];
    assert.ok(first !== undefined && last !== undefined);
    // One that reads a file just now has one more.
    await until(
      `as few file descriptors as after the first one: ${figures.map(({ fds }) => fds).join(', ')}`,
      () => fdCount(masters.current()) <= first.fds,
    );
    assert.equal(last.processes, first.processes, 'processes');
    // Pids and ports have more digits or fewer.
    assert.ok(Math.abs(last.environment - first.environment) < 32, JSON.stringify(figures));
    await stop(service);
  });

  it('a connection that waits in the backlog is served by the new master', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    masters.signal('SIGWINCH');
    await s.waitWorkers(0);
    const answers = Array.from({ length: 8 }, () => request(s.target, '/pid', { timeout: 30_000 }));
    await until('them to wait', () => listeningOn(s.port).reduce((sum, { waiting }) => sum + waiting, 0) === 8);
    const now = await masters.upgrade();
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
    assert.equal(masters.workers(now).length, 2);
    await stop(service);
  });
});

describe('what is handed over', { timeout }, () => {
  it('SOCK-03: unix socket, TCP, port 0 and the admin address, which are the same sockets afterwards', async (t) => {
    const admin = await freePort();
    const tcp = await freePort();
    const service = await start(t, {
      unix: true,
      bind: ['unix:app.sock', `127.0.0.1:${tcp}`, '127.0.0.1:0'],
      args: ['--admin', `127.0.0.1:${admin}`],
    });
    const { s, masters } = service;
    const ofAll = async () =>
      (await masters.status()) as {
        pid: number;
        listeners: { address: string }[];
      };
    const before = await ofAll();
    const inode = statSync(join(s.dir, 'app.sock')).ino;
    const sockets = listeningOn(tcp).map((each) => each.inode);
    const adminSocket = listeningOn(admin).map((each) => each.inode);
    for (let round = 0; round < 3; round += 1) {
      const now = await masters.upgrade();
      const after = await ofAll();
      assert.equal(after.pid, now);
      assert.deepEqual(
        after.listeners.map(({ address }) => address),
        before.listeners.map(({ address }) => address),
      );
      assert.equal(statSync(join(s.dir, 'app.sock')).ino, inode, 'the same path');
      assert.deepEqual(
        listeningOn(tcp).map((each) => each.inode),
        sockets,
      );
      assert.deepEqual(
        listeningOn(admin).map((each) => each.inode),
        adminSocket,
      );
      const port = Number(
        /:(\d+)$/.exec(
          after.listeners.find(({ address }) => address.endsWith(String(tcp)) === false && address.startsWith('127'))
            ?.address ?? '',
        )?.[1],
      );
      for (const target of [{ socketPath: join(s.dir, 'app.sock') }, { port: tcp }, { port }])
        assert.equal((await request(target, '/healthz')).status, 200, JSON.stringify(target));
      assert.equal(((await requestJson({ port: admin }, '/status')) as { pid: number }).pid, now);
    }
    await masters.stop();
    await assertClean(s, {
      gone: [join(s.dir, 'app.sock'), join(s.dir, 'app.ctl'), masters.pidfile],
      ports: [tcp, admin],
    });
  });

  it('an address that the new configuration does not name is let go, one that it names is bound', async (t) => {
    const [kept, dropped, added] = [await freePort(), await freePort(), await freePort()];
    const config = (ports: readonly number[]) => ({
      bind: [...ports.map((port) => `127.0.0.1:${port}`), 'unix:app.sock'],
    });
    const service = await start(t, { bind: null, config: config([kept, dropped]) });
    const { s, masters } = service;
    writeFileSync(
      join(s.dir, 'supervisor.config.mjs'),
      `export default ${JSON.stringify({ bind: [kept, added].map((port) => `127.0.0.1:${port}`) })};`,
    );
    await masters.upgrade();
    for (const port of [kept, added]) assert.equal((await request({ port }, '/healthz')).status, 200);
    await assertFree(dropped);
    assert.ok(!existsSync(join(s.dir, 'app.sock')), 'the unix socket that is not wanted any more');
    await stop(service);
    for (const port of [kept, added]) await assertFree(port);
  });

  it('sockets of the first start keep their numbers; an app that names its address itself finds its socket', async (t) => {
    const inherited = createServer();
    await new Promise<void>((resolve) => inherited.listen(0, '127.0.0.1', resolve));
    const { port } = inherited.address() as AddressInfo;
    const service = await start(t, { bind: ['fd://3'], inherit: [inherited] });
    // It would accept as well.
    inherited.close();
    const { masters } = service;
    for (let round = 0; round < 2; round += 1) {
      const now = await masters.upgrade();
      const answer = await until('an answer of a worker', async () => {
        const got = (await requestJson({ port }, '/pid').catch(() => null)) as { pid: number } | null;
        return got;
      });
      assert.ok(masters.workers(now).includes(answer.pid), JSON.stringify(answer));
    }
    await stop(service);
  });

  it('SEC-07: workers of the new master inherit no socket but those they serve', async (t) => {
    const service = await start(t, { args: ['--admin', `127.0.0.1:${await freePort()}`] });
    const { s, masters } = service;
    const socketsOf = async (): Promise<number> => {
      const { fds } = (await requestJson(s.target, '/fds')) as unknown as { fds: { target: string }[] };
      return fds.filter(({ target }) => target.startsWith('socket:')).length;
    };
    const before = await socketsOf();
    await masters.upgrade();
    await masters.upgrade();
    assert.equal(await socketsOf(), before);
    await stop(service);
  });

  const skip = process.getuid?.() === 0 ? false : 'it takes root to be less than root';
  it('G9 SEC-07: under a root master, a worker after an upgrade gets nothing it could not have by itself', {
    skip,
  }, async (t) => {
    const service = await start(t, { app: fixture('privileges/app.cjs'), cwd: '/tmp', args: ['-u', 'nobody'] });
    const { s, masters } = service;
    await masters.upgrade();
    const result = async (query: string) => String((await requestJson(s.target, `/listen?${query}`)).result);
    assert.equal(await result('port=81'), 'EACCES');
    assert.equal(await result('path=/etc/prefork-test.sock'), 'EACCES');
    for (let fd = 3; fd < 30; fd += 1) assert.match(await result(`fd=${fd}`), /EBADF|EINVAL|ENOTSOCK/, `fd ${fd}`);
    assert.equal((await requestJson(s.target, '/self')).uid, 65_534);
    await stop(service, /the app asks for/);
  });

  it('more workers, then fewer: every queue goes on being served', async (t) => {
    const config = (workers: number) => ({ workers, queues: 'per-worker' });
    const service = await start(t, { config: config(2), ownWorkers: true });
    const { s, masters } = service;
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'fresh', clients: 8 }] });
    await load.answered(50);
    const queues = async (): Promise<unknown> => {
      const { listeners } = await masters.status();
      return (listeners as { queues: number }[])[0]?.queues;
    };
    // Where Node knows no queues of one's own, there is one for all.
    const isShared = (await queues()) === 1;
    for (const workers of [4, 1, 3]) {
      writeFileSync(join(s.dir, 'supervisor.config.mjs'), `export default ${JSON.stringify(config(workers))};`);
      const now = await masters.upgrade();
      assert.equal(masters.workers(now).length, workers);
      assert.equal(await queues(), isShared ? 1 : 4, 'never fewer: connections may wait in any');
      await load.further(200);
    }
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    await stop(service);
  });
});
