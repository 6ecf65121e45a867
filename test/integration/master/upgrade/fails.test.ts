/** A new master that fails, and is ended: the old one goes on as if nothing had happened. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertQueueIsLong } from '../../../support/backlog.ts';
import { type Service, startService as start, stopService as stop, underLoad } from '../../../support/masters.ts';
import { isAlive } from '../../../support/proc.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';

const timeout = stretched(120_000);

describe('UPG-02 a new master that fails changes nothing', { timeout }, () => {
  /** The old one goes on, and can be upgraded. */
  async function assertUnchanged({ s, masters }: Service, old: number, workers: readonly number[]): Promise<void> {
    await masters.until('the old one alone', () => s.processesLeft().length === 1 + workers.length);
    assert.equal(masters.pid(), old);
    await masters.until('no pidfile.2', () => masters.pid(true) === null);
    assert.deepEqual(masters.workers(old), workers);
    const status = await masters.status();
    assert.equal(status.pid, old);
    assert.equal((await request(s.target, '/healthz')).status, 200);
  }

  const broken: readonly (readonly [name: string, boot: string, line: RegExp])[] = [
    ['throws', 'throw', /^upgrade \d failed, nothing was changed: .*this version cannot start/],
    ['exits', 'exit3', /^upgrade \d failed, nothing was changed: /],
  ];
  for (const [name, boot, line] of broken)
    it(`its app ${name}`, async (t) => {
      const service = await start(t);
      const { s, masters } = service;
      const [old, workers] = [masters.current(), masters.workers()];
      const { load, calm } = await underLoad(t, service);
      s.set('boot', boot);
      masters.signal('SIGUSR2');
      await masters.waitForLine(line);
      await assertUnchanged(service, old, workers);
      s.set('boot', 'ok');
      await masters.upgrade();
      await load.further(20);
      await calm();
      await stop(service, /giving up|failed/);
    });

  it('its configuration is broken, and the line says why', async (t) => {
    const service = await start(t, { config: {} });
    const { s, masters } = service;
    const [old, workers] = [masters.current(), masters.workers()];
    writeFileSync(join(s.dir, 'supervisor.config.mjs'), 'export default { wrokers: 3 };');
    masters.signal('SIGUSR2');
    await masters.waitForLine(/^upgrade 1 failed, nothing was changed: .*wrokers/);
    await assertUnchanged(service, old, workers);
    await stop(service, /wrokers/);
  });

  for (const [name, boot] of [
    ['one worker of it hangs while it boots', 'hang@1'],
    ['its workers never listen', 'never-listen'],
  ] as const)
    it(`${name}, past upgradeTimeout`, async (t) => {
      const service = await start(t, { args: ['--upgrade-timeout', `${stretched(3_000)}ms`] });
      const { s, masters } = service;
      const [old, workers] = [masters.current(), masters.workers()];
      const { calm } = await underLoad(t, service);
      s.set('boot', boot);
      masters.signal('SIGUSR2');
      await masters.waitForLine(/^upgrade 1 failed, nothing was changed: the new master was not ready within upgrade/);
      await assertUnchanged(service, old, workers);
      s.set('boot', 'ok');
      await masters.upgrade();
      await calm();
      await stop(service);
    });

  it('it is stopped itself, and cannot be told: it is killed', async (t) => {
    const service = await start(t, { args: ['--upgrade-timeout', `${stretched(2_000)}ms`] });
    const { s, masters } = service;
    const [old, workers] = [masters.current(), masters.workers()];
    s.set('boot', 'slow:4000');
    const second = await masters.begin();
    process.kill(second, 'SIGSTOP');
    await masters.waitForLine(/^upgrade 1 failed/);
    await masters.until('its end', () => !isAlive(second));
    await assertUnchanged(service, old, workers);
    await stop(service);
  });

  it('MIG-04 it is killed half way, under load: no client of it notices', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const [old, workers] = [masters.current(), masters.workers()];
    const { load, calm } = await underLoad(t, service);
    s.set('boot', 'never-listen@2+');
    const second = await masters.begin();
    await masters.until('its workers', () => masters.workers(second).length === 2);
    process.kill(second, 'SIGKILL');
    await masters.waitForLine(/^upgrade 1 failed, nothing was changed: it was ended by SIGKILL/);
    await assertUnchanged(service, old, workers);
    await load.further(50);
    const { busy, idle } = await calm();
    // Its one worker that was ready had connections: they are those of the old one's workers now.
    assert.deepEqual([busy?.connections, idle?.connections], [4, 16]);
    await assertQueueIsLong(s);
    await stop(service);
  });
});
