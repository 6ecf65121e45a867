/** Behind nginx and HAProxy, as many a service runs: ten reloads, and no client of the proxy notices. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { stopClean } from '../support/invariants.ts';
import { startLoad } from '../support/load/child.ts';
import { type Group, table, total } from '../support/load/mix.ts';
import { served, startHaproxy, startNginx, without } from '../support/proxy.ts';
import { request } from '../support/request.ts';
import { type Supervisor, startSupervisor } from '../support/supervisor.ts';

/** What a proxy's clients do; the connections to the app are the proxy's own. */
const groups: readonly Group[] = [
  { kind: 'busy', clients: 3 },
  { kind: 'idle', clients: 8 },
  { kind: 'fresh', clients: 2, think: 5 },
  { kind: 'slow', clients: 4 },
  { kind: 'upload', clients: 2, think: 20 },
];

async function startTwo(t: TestContext): Promise<[Supervisor, Supervisor]> {
  const args = ['--health', '--graceful-timeout', '10'];
  const pair = await Promise.all([0, 1].map(() => startSupervisor(t, { workers: 2, args })));
  const [one, two] = await Promise.all(pair.map((supervisor) => supervisor.waitReady(30_000)));
  assert.ok(one !== undefined && two !== undefined);
  return [one, two];
}

const proxies: readonly (readonly ['nginx' | 'haproxy', typeof startNginx])[] = [
  ['nginx', startNginx],
  ['haproxy', startHaproxy],
];

for (const [name, start] of proxies) {
  describe(`behind ${name}`, { skip: without(name) }, () => {
    it('ten reloads under load: every request of every kind of client is answered', async (t) => {
      const masters = await startTwo(t);
      const proxy = await start(t, [masters[0].port, masters[1].port]);
      await served(proxy);
      const load = startLoad(t, { target: { port: proxy.port }, groups });
      await load.heardFrom(masters.flatMap((master) => master.workers()));
      for (let reload = 1; reload <= 5; reload += 1) {
        for (const master of masters) {
          const { msg } = await master.reload(60_000);
          assert.match(msg, /done/);
          await load.further(50);
        }
      }
      await load.heardFrom(masters.flatMap((master) => master.workers()));
      const report = await load.stop();
      const all = total(report);
      all.assertComplete();
      assert.equal(all.failed, 0, `${table(report)}\n${proxy.log().slice(-2_000)}`);
      t.diagnostic(`${all.sent} requests, ${all.failed} failed`);
      for (const master of masters) await stopClean(master);
    });

    it('a POST whose worker dies is not sent again: the app may have executed it', async (t) => {
      const masters = await startTwo(t);
      const proxy = await start(t, [masters[0].port, masters[1].port]);
      await served(proxy);
      const fates = masters.map((master) => master.workers());
      const answer = await request({ port: proxy.port }, '/throw', { method: 'POST', timeout: 20_000 });
      assert.equal(answer.status, 502);
      for (const master of masters) await master.waitWorkers(2, 30_000);
      const dead = masters.flatMap((master, index) =>
        (fates[index] ?? []).filter((pid) => !master.workers().includes(pid)),
      );
      assert.equal(dead.length, 1, `${dead.length} workers have had it`);
      // A GET may be tried again, and is no reason to avoid the service.
      assert.equal((await request({ port: proxy.port }, '/pid')).status, 200);
      for (const master of masters) await stopClean(master, { allow: /./ });
    });

    it('TLS, and WebSockets that live through a reload until the drain ends', async (t) => {
      const masters = await startTwo(t);
      const proxy = await start(t, [masters[0].port, masters[1].port]);
      await served(proxy);
      const secure = await request({ port: proxy.tlsPort, secure: true }, '/pid');
      assert.equal(secure.status, 200);
      const load = startLoad(t, {
        target: { port: proxy.port },
        groups: [{ kind: 'websocket', clients: 3 }],
      });
      await load.further(50);
      assert.match((await masters[0].reload(60_000)).msg, /done/);
      await load.further(50);
      const report = await load.stop();
      total(report).assertComplete();
      assert.equal(total(report).failed, 0, table(report));
      for (const master of masters) await stopClean(master);
    });
  });
}
