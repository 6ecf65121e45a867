/** SDN: under the real systemd, with the units that prefork ships. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { startLoad } from '../support/load/child.ts';
import { fourKinds, type Group, table, total } from '../support/load/mix.ts';
import { root } from '../support/paths.ts';
import { isAlive } from '../support/proc.ts';
import { freePort, request, requestJson } from '../support/request.ts';
import { stretched } from '../support/slowness.ts';
import { Systemd, withoutSystemd } from '../support/systemd.ts';
import { pause, until } from '../support/until.ts';

const skip = withoutSystemd();
const system = skip === false ? new Systemd() : null;

const sample = (name: string): string => readFileSync(join(root, 'config/systemd', name), 'utf8');

describe('under systemd', { skip, timeout: stretched(600_000) }, () => {
  before(() => get().start());
  after(() => get().stop());
  afterEach(async () => {
    await get().run('systemctl', ['stop', 'shop.socket', 'shop.service']);
    await get().run('systemctl', ['reset-failed']);
  });

  it('the units are without a fault: systemd-analyze verify', async () => {
    const world = get();
    for (const service of ['shop.service', 'hardened/shop.service']) {
      world.unit('shop.service', sample(service));
      world.unit('shop.socket', sample('shop.socket'));
      for (const unit of ['shop.service', 'shop.socket']) {
        const { code, stdout, stderr } = await world.run('systemd-analyze', [
          'verify',
          '--man=no',
          `/run/world/units/${unit}`,
        ]);
        assert.deepEqual([code, stdout, stderr], [0, '', ''], service);
      }
    }
    world.removeUnits(['shop.socket']);
  });

  for (const service of ['shop.service', 'hardened/shop.service']) {
    it(`SDN-01 ${service}: starts, reloads under load without a failed request, stops clean and in time`, async (t) => {
      const { world, port, log } = await install(service);
      await world.systemctl('start', 'shop');
      assert.equal(await world.show('shop', 'ActiveState'), 'active');
      assert.match(await status(/^2\/2 workers ready, generation 1$/), /2\/2/);
      assert.equal((await request({ port }, '/healthz')).status, 200);
      const { env } = (await requestJson({ port }, '/env')) as { env: Record<string, string> };
      const leaked = Object.keys(env).filter((name) => /^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)/.test(name));
      assert.deepEqual([env.USER, leaked], ['shop', []], 'SDN-04');

      const load = startLoad(t, { target: { port }, groups: fourKinds });
      await load.answered(200);
      const main = await world.show('shop', 'MainPID');
      for (let generation = 2; generation <= 4; generation += 1) {
        await world.systemctl('reload', 'shop');
        await status(new RegExp(`^2/2 workers ready, generation ${generation}$`));
        await until('the end of the reload', async () => (await world.show('shop', 'ActiveState')) === 'active');
        await load.further(200);
      }
      assert.equal(await world.show('shop', 'MainPID'), main);
      const report = await load.stop();
      total(report).assertComplete();
      assert.equal(total(report).failed, 0, table(report));
      t.diagnostic(`${total(report).sent} requests, ${total(report).failed} failed`);

      const started = performance.now();
      await world.systemctl('stop', 'shop');
      assert.ok(performance.now() - started < stretched(30_000));
      assert.equal(await world.show('shop', 'ActiveState'), 'inactive');
      assert.equal(await world.show('shop', 'Result'), 'success');
      assert.equal(await world.show('shop', 'ExecMainStatus'), '0');
      assert.doesNotMatch(await log(), /SIGKILL|timed out|remains running/);
    });
  }

  it('a reload that is rejected fails, with the reason in `systemctl status`, and the old release serves on', async () => {
    const { world, port } = await install('shop.service');
    await world.systemctl('start', 'shop');
    await status(/^2\/2 workers ready, generation 1$/);
    lever('boot', 'throw');
    const { code, stderr } = await world.run('systemctl', ['reload', 'shop']);
    assert.equal(code, 1);
    assert.match(stderr, /Job for shop\.service failed/);
    await status(
      /^2\/2 workers ready, generation 1; reload 1 failed, nothing was changed: Error: this version cannot start$/,
    );
    const shown = (await world.run('systemctl', ['status', '--no-pager', 'shop'])).stdout;
    assert.match(shown, /Active: active \(running\)/);
    assert.match(shown, /Status: "2\/2 workers ready, generation 1; reload 1 failed/);
    assert.match(shown, /ExecReload=.* \(code=exited, status=1\/FAILURE\)/);
    assert.equal((await request({ port }, '/healthz')).status, 200);
    // The next one that works leaves nothing of it.
    lever('boot', 'ok');
    await world.systemctl('reload', 'shop');
    await status(/^2\/2 workers ready, generation 2$/);
  });

  it('SDN-03 a start that fails says so, and a configuration that cannot be used is not tried again', async () => {
    const { world, log } = await install('shop.service', 'Environment=WEB_CONCURRENCY=many');
    const { code, stderr } = await world.run('systemctl', ['start', 'shop']);
    assert.equal(code, 1);
    assert.match(stderr, /Job for shop\.service failed/);
    assert.equal(await world.show('shop', 'ExecMainStatus'), '2');
    assert.equal(await world.show('shop', 'ActiveState'), 'failed');
    assert.equal(await world.show('shop', 'NRestarts'), '0');
    assert.match(await log(), /WEB_CONCURRENCY: workers: expected/);
  });

  it('SDN-03 an app that cannot start is tried again until it can', async () => {
    const { world, port } = await install('shop.service');
    lever('boot', 'throw');
    await world.systemctl('start', '--no-block', 'shop');
    await until('a second attempt', async () => Number(await world.show('shop', 'NRestarts')) >= 1, { within: 60_000 });
    lever('boot', 'ok');
    await until('the service', async () => (await request({ port }, '/healthz')).status === 200, { within: 60_000 });
    await until('it to be active', async () => (await world.show('shop', 'ActiveState')) === 'active');
  });

  it('SDN-02 a master that is stopped (kill -STOP) is ended by the watchdog and started anew', async () => {
    const { world, port, log } = await install('shop.service', 'WatchdogSec=8s\nLimitCORE=0');
    await world.systemctl('start', 'shop');
    const first = await world.show('shop', 'MainPID');
    await world.systemctl('kill', '--kill-whom=main', '--signal=STOP', 'shop');
    await until('another master', async () => ![first, '0'].includes(await world.show('shop', 'MainPID')), {
      within: 90_000,
    });
    assert.match(await log(), /Watchdog timeout/);
    await status(/^2\/2 workers ready, generation 1$/);
    assert.equal(await world.show('shop', 'NRestarts'), '1');
    assert.equal((await request({ port }, '/healthz')).status, 200);
  });

  it('a master that is root and its own workers are not: NotifyAccess=main is enough, and keeps the workers out', async () => {
    const more = 'User=\nNotifyAccess=main\nEnvironment="PREFORK_CMD_ARGS=--user shop"\nWatchdogSec=8s';
    const { world, port, log } = await install('shop.service', more);
    await world.systemctl('start', 'shop');
    await status(/^2\/2 workers ready, generation 1$/);
    const { env } = (await requestJson({ port }, '/env')) as { env: Record<string, string> };
    assert.equal(env.USER, 'shop');
    await world.systemctl('reload', 'shop');
    await status(/^2\/2 workers ready, generation 2$/);
    assert.doesNotMatch(await log(), /notification message from PID/);
    await upgraded();
    await status(/^2\/2 workers ready, generation 1$/);
    await world.systemctl('reload', 'shop');
    await status(/^2\/2 workers ready, generation 2$/);
    const late = request({ port }, '/slow?ms=1500');
    await seenBy(port);
    await world.systemctl('kill', '--kill-whom=main', '--signal=TERM', 'shop');
    assert.equal((await late).status, 200);
    await until('the end', async () => (await world.show('shop', 'ActiveState')) === 'inactive', { within: 30_000 });
    assert.equal(await world.show('shop', 'Result'), 'success');
  });

  it('UPG an upgrade: MAINPID follows the new master, systemd goes on with it, and no request is lost', async (t) => {
    const { world, port, log } = await install('shop.service', 'WatchdogSec=8s\nLimitCORE=0');
    await world.systemctl('start', 'shop');
    await status(/^2\/2 workers ready, generation 1$/);
    const load = startLoad(t, { target: { port }, groups: fourKinds });
    await load.answered(100);
    const seen = new Set([await world.show('shop', 'MainPID')]);
    for (let upgrade = 1; upgrade <= 2; upgrade += 1) {
      await prefork('upgrade', '--wait');
      const main = await until('another main process', async () => {
        const pid = await world.show('shop', 'MainPID');
        return seen.has(pid) ? null : pid;
      });
      const before = Number([...seen].at(-1));
      seen.add(main);
      assert.match(await prefork('status', '--json'), new RegExp(`"pid": ${main}\\b`));
      await load.further(100);
      // Until then another upgrade is refused: docs/upgrade.md.
      await until('the master before to have left', () => !isAlive(before), { within: 30_000 });
      await status(/^2\/2 workers ready, generation 1$/);
    }
    const report = await load.stop();
    total(report).assertComplete();
    assert.equal(total(report).failed, 0, table(report));

    // One that fails changes nothing.
    lever('boot', 'throw');
    await assert.rejects(prefork('upgrade', '--wait'), /cannot start/);
    await status(/^2\/2 workers ready, generation 1; upgrade 1 failed, nothing was changed: .*cannot start/);
    lever('boot', 'ok');
    const main = [...seen].at(-1);
    const since = performance.now();
    await until('more than the limit of the watchdog', () => performance.now() - since > 12_000, { within: 30_000 });
    assert.equal(await world.show('shop', 'MainPID'), main);
    assert.equal(await world.show('shop', 'NRestarts'), '0', await log());
    await world.systemctl('reload', 'shop');
    await status(/^2\/2 workers ready, generation 2/);
    const late = request({ port }, '/slow?ms=2000');
    await seenBy(port);
    await world.systemctl('stop', 'shop');
    assert.equal((await late).status, 200);
    assert.equal(await world.show('shop', 'Result'), 'success');
    assert.equal(await world.show('shop', 'NRestarts'), '0');
    assert.doesNotMatch(await log(), /SIGKILL|timed out|remains running|Watchdog/);
  });

  for (const [how, more] of [
    ['prefork stop', ''],
    ['TERM alone, once the old master is gone', 'ExecStop='],
  ] as const) {
    it(`UPG a stop soon after an upgrade waits for requests under way: ${how}`, async () => {
      const { world, port } = await install('shop.service', more);
      await world.systemctl('start', 'shop');
      await status(/^2\/2 workers ready, generation 1$/);
      const answer = (path: string) => request({ port }, path).then(({ status: code }) => code, String);
      // Who is served by the old master keeps it for a while.
      const early = more === '' ? answer('/slow?ms=5000') : null;
      await seenBy(port);
      if (more === '') await prefork('upgrade', '--wait');
      else await upgraded();
      const late = answer('/slow?ms=1500');
      await seenBy(port);
      await world.systemctl('stop', 'shop');
      assert.deepEqual([await early, await late], [early === null ? null : 200, 200]);
      assert.equal(await world.show('shop', 'ActiveState'), 'inactive');
    });
  }

  it('BIND-07 shop.socket: the first client starts the service, and none is refused while it restarts', async (t) => {
    const { world, port } = await install('shop.service');
    world.unit('shop.socket', sample('shop.socket'));
    const other = await freePort();
    world.unit('shop.socket.d/test.conf', `[Socket]\nListenStream=\nListenStream=127.0.0.1:${other}\n`);
    await world.systemctl('daemon-reload');
    await world.systemctl('start', 'shop.socket');
    assert.equal(await world.show('shop', 'ActiveState'), 'inactive');
    assert.equal((await request({ port: other }, '/healthz', { timeout: 60_000 })).status, 200);
    await status(/^2\/2 workers ready/);
    await assert.rejects(request({ port }, '/healthz'), 'PORT is not served beside it');

    const groups: readonly Group[] = [
      { kind: 'busy', clients: 2 },
      { kind: 'idle', clients: 4 },
      { kind: 'fresh', clients: 2, think: 20 },
    ];
    const load = startLoad(t, { target: { port: other }, groups });
    await load.answered(100);
    const before = await world.show('shop', 'MainPID');
    for (let restart = 1; restart <= 2; restart += 1) {
      await world.systemctl('restart', 'shop.service');
      await load.further(100);
    }
    assert.notEqual(await world.show('shop', 'MainPID'), before);
    const report = await load.stop();
    total(report).assertComplete();
    assert.equal(total(report).failed, 0, table(report));
    await world.systemctl('reload', 'shop');
    assert.equal((await request({ port: other }, '/healthz')).status, 200);

    await upgraded();
    assert.equal((await request({ port: other }, '/healthz')).status, 200);

    // A master that dies: who comes before the next one waits for it.
    await world.systemctl('kill', '--kill-whom=main', '--signal=KILL', 'shop');
    await until('systemd to see it', async () => (await world.show('shop', 'ActiveState')) !== 'active');
    assert.equal((await request({ port: other }, '/healthz', { timeout: 60_000 })).status, 200);
    assert.equal(await world.show('shop', 'NRestarts'), '1');
    world.removeUnits(['shop.socket', 'shop.socket.d']);
  });
});

function get(): Systemd {
  assert.ok(system !== null);
  return system;
}

interface Installed {
  /** Its log of this test. */
  readonly log: () => Promise<string>;
  readonly world: Systemd;
  readonly port: number;
}

/** The unit as it is shipped, and beside it what a test needs: a port, the levers of the app, the log in a file. */
async function install(name: string, more = ''): Promise<Installed> {
  const world = get();
  const port = await freePort();
  lever('boot', 'ok');
  world.unit('shop.service', sample(name));
  const lines = [`Environment=PORT=${port} WEB_CONCURRENCY=2 BOOT_FILE=/run/world/boot`, more];
  world.unit('shop.service.d/test.conf', `[Service]\n${lines.join('\n')}\n`);
  await world.systemctl('daemon-reload');
  const since = new Date();
  return { world, port, log: () => world.log('shop', since) };
}

/** Upgrades, and waits until systemd has the new master for its own child. */
async function upgraded(): Promise<void> {
  const world = get();
  const old = await world.show('shop', 'MainPID');
  await prefork('upgrade', '--wait');
  const isGone = async () => (await world.run('test', ['-d', `/proc/${old}`])).code === 1;
  await until('the old master to be gone', isGone, { within: 60_000 });
  assert.notEqual(await world.show('shop', 'MainPID'), old);
  // systemd shows nowhere whose child it takes a process for: the master finds out within a second, and tells it.
  await pause(4_000);
}

/** A request that was sent before this one began has been accepted: both of the workers have answered since. */
async function seenBy(port: number): Promise<void> {
  const pids = new Set<unknown>();
  await until('both workers to answer', async () => {
    pids.add((await requestJson({ port }, '/pid')).pid);
    return pids.size === 2;
  });
}

/** Runs a command of prefork inside, as the operator. */
async function prefork(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await get().run('/srv/shop/node_modules/.bin/prefork', [
    ...args,
    '--socket',
    '/run/shop/prefork.ctl',
  ]);
  if (code !== 0) throw new Error(`prefork ${args.join(' ')} ended with ${code}: ${stdout} ${stderr}`);
  return stdout;
}

/** Sets a lever of the app. */
function lever(name: 'boot', value: string): void {
  const path = join(get().dir, name);
  writeFileSync(`${path}.new`, value);
  renameSync(`${path}.new`, path);
}

/** Waits for what `systemctl status` shows as the service's own words. */
async function status(match: RegExp): Promise<string> {
  let last = '';
  return await until(
    `the status ${String(match)}`,
    async () => {
      last = await get().show('shop', 'StatusText');
      return match.test(last) ? last : null;
    },
    { within: 30_000, every: 100 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`);
  });
}
