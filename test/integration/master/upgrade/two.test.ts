/** Two masters of one service: what each makes of signals, and of the other's end. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertClean } from '../../../support/invariants.ts';
import { slowRequest, startService as start, stopService as stop } from '../../../support/masters.ts';
import { isAlive } from '../../../support/proc.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';

const timeout = stretched(120_000);

describe('two masters', { timeout }, () => {
  it('UPG-04: one upgrade at a time, from either side, refused in one line', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const old = masters.current();
    s.set('boot', 'slow:1500');
    masters.signal('SIGUSR2');
    await masters.waitForLine(/^upgrade 1 started/);
    masters.signal('SIGUSR2');
    await masters.waitForLine(/^upgrade refused: one is under way$/);
    await masters.until('pidfile.2', () => masters.pid(true) !== null);
    masters.signal('SIGWINCH', old);
    await masters.until('the new one to be ready', () => masters.workers(old).length === 0);
    const second = masters.pid(true) ?? 0;
    masters.signal('SIGUSR2', second);
    await masters.waitForLine(/^upgrade refused: the master before this one is still there$/);
    masters.signal('SIGTERM', old);
    assert.equal(await masters.replaced(old), second);
    await stop(service);
  });

  it('the old one is killed half way: the new one goes on', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const old = masters.current();
    s.set('boot', 'slow:2000');
    const second = await masters.begin();
    process.kill(old, 'SIGKILL');
    // Nobody accepts for a moment; nobody is refused either.
    const answer = await request(s.target, '/pid', { timeout: 30_000 });
    assert.equal(answer.status, 200);
    assert.equal(await masters.replaced(old), second);
    assert.equal(masters.pid(true), null);
    await masters.waitForLine(/^ready: 2 workers/, 2);
    const status = await masters.status();
    assert.equal(status.pid, second);
    s.set('boot', 'ok');
    await masters.upgrade();
    await masters.stop();
    await assertClean(s, { code: null, gone: [masters.pidfile, join(s.dir, 'app.ctl')], leftWithin: 5_000 });
  });

  it('a TERM before the new one is ready stops the service, the new one with it', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    s.set('boot', 'slow:3000');
    await masters.begin();
    masters.signal('SIGTERM');
    await masters.gone();
    await assertClean(s, { gone: [masters.pidfile, `${masters.pidfile}.2`, join(s.dir, 'app.ctl')] });
  });

  for (const generation of ['first', 'second'])
    it(`a stop while the ${generation} master still drains stops both: nobody serves again, no path is left`, async (t) => {
      const service = await start(t, { unix: true });
      const { s, masters } = service;
      if (generation === 'second') await masters.upgrade();
      const slow = await slowRequest(service, 4_000);
      await masters.inCharge();
      masters.signal('SIGTERM');
      await masters.waitForLine(/^the new master was told to stop, so the service stops/);
      await slow.answered;
      await masters.gone();
      await assertClean(s, { gone: [join(s.dir, 'app.sock'), masters.pidfile, join(s.dir, 'app.ctl')] });
    });

  it('the new one is killed while the old one still drains: it takes everything back, and can be upgraded', async (t) => {
    const service = await start(t, { unix: true });
    const { s, masters } = service;
    const old = masters.current();
    const slow = await slowRequest(service, 4_000);
    await masters.inCharge();
    process.kill(masters.current(), 'SIGKILL');
    await masters.until('the old one to be in charge again', () => masters.pid() === old);
    assert.equal((await request(s.target, '/pid', { timeout: 30_000 })).status, 200);
    const status = await masters.status();
    assert.equal(status.pid, old);
    await slow.answered;
    await masters.upgrade();
    await masters.stop();
    await assertClean(s, { gone: [join(s.dir, 'app.sock'), masters.pidfile, join(s.dir, 'app.ctl')] });
  });

  it('a late WINCH, and back: TERM the new one, and the old one has the pidfile and the paths', async (t) => {
    const service = await start(t, { unix: true });
    const { s, masters } = service;
    const old = masters.current();
    const slow = await slowRequest(service, 3_000);
    const second = await masters.inCharge();
    masters.signal('SIGWINCH', old);
    await slow.answered;
    await masters.until('no workers', () => masters.workers(old).length === 0);
    assert.ok(isAlive(old));
    masters.signal('SIGHUP', old);
    await masters.waitForLine(/^reload 1 done/);
    masters.signal('SIGTERM', second);
    await masters.until('the old one to be in charge again', () => masters.pid() === old && !isAlive(second));
    assert.equal((await request(s.target, '/pid')).status, 200);
    const status = await masters.status();
    assert.equal(status.pid, old);
    await stop(service);
  });

  it('a HUP while the new one boots is its to do: the old one still leaves', async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const old = masters.current();
    s.set('boot', 'slow:1000');
    await masters.begin();
    masters.signal('SIGHUP', old);
    await masters.replaced(old);
    await masters.waitForLine(/^reload 1 done/);
    await stop(service);
  });
});
