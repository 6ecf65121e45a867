/** Gunicorn's manual dance: USR2, WINCH the old master, TERM it; or back, HUP the old one and TERM the new one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertLog } from '../../../support/invariants.ts';
import { startService as start, stopService as stop, underLoad } from '../../../support/masters.ts';
import { isAlive } from '../../../support/proc.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { stays } from '../../../support/until.ts';

const timeout = stretched(120_000);

describe("UPG-03 Gunicorn's manual dance", { timeout }, () => {
  it('forward: USR2, WINCH the old, TERM the old', async (t) => {
    const service = await start(t);
    const { masters } = service;
    const { load, calm } = await underLoad(t, service);
    const old = masters.current();
    const second = await masters.begin();
    await masters.retire(old);
    assert.deepEqual([masters.pid(), masters.pid(true)], [old, second], "pidfile and pidfile.2 are Gunicorn's");
    await stays('the old one', () => isAlive(old), 500);
    await load.further(20);
    masters.signal('SIGTERM', old);
    assert.equal(await masters.replaced(old), second);
    assert.equal(masters.pid(true), null);
    await load.further(20);
    await calm();
    await stop(service);
  });

  it('at leisure, with upgradeByHand: both serve until the old one is told to go', async (t) => {
    const service = await start(t, { args: ['--upgrade-by-hand'] });
    const { masters } = service;
    const { load, calm } = await underLoad(t, service);
    const old = masters.current();
    masters.signal('SIGUSR2');
    await masters.waitForLine(/^upgrade 1: the new master is ready; both serve/);
    const second = masters.pid(true) ?? 0;
    await stays('both', () => masters.workers(old).length === 2 && masters.workers(second).length === 2, 500);
    await load.heardFrom([...masters.workers(old), ...masters.workers(second)]);
    masters.signal('SIGTERM', second);
    await masters.waitForLine(/^the new master is gone, this one serves on/);
    assert.deepEqual([masters.pid(), masters.pid(true)], [old, null]);
    masters.signal('SIGUSR2');
    await masters.waitForLine(/^upgrade 2: the new master is ready/);
    const third = masters.pid(true) ?? 0;
    await masters.retire(old);
    masters.signal('SIGTERM', old);
    assert.equal(await masters.replaced(old), third);
    await calm();
    await stop(service);
  });

  it('back: USR2, WINCH the old, HUP the old, TERM the new', async (t) => {
    const service = await start(t);
    const { masters } = service;
    const { load, calm } = await underLoad(t, service);
    const old = masters.current();
    const second = await masters.begin();
    await masters.retire(old);
    masters.signal('SIGHUP', old);
    await masters.until('the old one to serve', () => masters.workers(old).length === 2);
    await masters.waitForLine(/^reload 1 done/);
    masters.signal('SIGTERM', second);
    await masters.waitForLine(/^the new master is gone, this one serves on: it exited with code 0/);
    assert.ok(!isAlive(second));
    assert.deepEqual([masters.pid(), masters.pid(true)], [old, null]);
    await load.further(20);
    // And forward after all.
    await masters.upgrade();
    await calm();
    await stop(service);
  });

  it('a new one that ends while the old one waits: the old one serves again by itself', async (t) => {
    const service = await start(t);
    const { masters } = service;
    const old = masters.current();
    const second = await masters.begin();
    await masters.retire(old);
    process.kill(second, 'SIGKILL');
    await masters.until('the old one to serve', () => masters.workers(old).length === 2);
    assert.deepEqual([masters.pid(), masters.pid(true)], [old, null]);
    assertLog(service.s);
    await stop(service);
  });

  it('TERM to the old one before the new one is ready: the new one goes on, and clients wait for it', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const old = masters.current();
    s.set('boot', 'slow:1500');
    const second = await masters.begin();
    masters.signal('SIGWINCH', old);
    // Of two signals that wait at once the kernel may deliver the later one first, see signal(7).
    await masters.waitForLine(/^the upgrade goes on by hand/);
    masters.signal('SIGTERM', old);
    assert.equal(await masters.replaced(old), second);
    assert.equal((await request(s.target, '/pid', { timeout: 30_000 })).status, 200);
    await masters.until('its workers', () => masters.workers(second).length === 2);
    await stop(service);
  });
});
