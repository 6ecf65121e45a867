/** Upgrades under every kind of client, and with masters that die at any moment of it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import { Tally } from '../../../support/load/tally.ts';
import { startService as start, stopService as stop, underLoad } from '../../../support/masters.ts';
import { isAlive } from '../../../support/proc.ts';
import { requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { pause, until } from '../../../support/until.ts';

const timeout = stretched(150_000);

describe('upgrade', { timeout }, () => {
  it('downloads, uploads, event streams and WebSockets, over a unix socket', async (t) => {
    const service = await start(t, { unix: true, args: ['--graceful-timeout', '6'] });
    const { s, masters } = service;
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'download', clients: 2 },
        { kind: 'upload', clients: 2, think: 20 },
        { kind: 'events', clients: 2, count: 40 },
        { kind: 'websocket', clients: 2 },
        { kind: 'fresh', clients: 2, think: 5 },
      ],
    });
    await load.answered(50);
    for (let round = 0; round < 3; round += 1) {
      const now = await masters.upgrade(60_000);
      await load.heardFrom(masters.workers(now));
    }
    const report = await load.stop();
    // Of a protocol that prefork does not know it cannot know the end of a message: it is cut at the graceful timeout.
    const { websocket, ...others } = report;
    assert.equal(total(others).failed, 0, table(report));
    const cut = total({ websocket: websocket ?? new Tally().toJSON() });
    assert.equal(cut.failed, cut.failedAs('reset-mid-body'), table(report));
    assert.ok(cut.failed <= 2 * 3, 'once for each connection and upgrade');
    t.diagnostic(table(report));
    await stop(service);
  });

  // The moments of an upgrade, more or less: the process starts, reads the configuration, boots, has booted.
  const moments = [0, 150, 300, 450, 600, 800, 1_000, 1_300];
  it(`the old master is killed at any moment: the new one serves, or whoever there is by then`, async (t) => {
    const service = await start(t);
    const { s, masters } = service;
    const { load, calm } = await underLoad(t, service);
    const control = { socketPath: join(s.dir, 'app.ctl') };
    for (const moment of moments) {
      const old = masters.current();
      masters.signal('SIGUSR2', old);
      // Once there is a new master, there is always one.
      await masters.until('the new master', () => masters.pid(true) !== null || masters.pid() !== old);
      await pause(moment);
      if (isAlive(old)) process.kill(old, 'SIGKILL');
      const now = await masters.replaced(old);
      await until('the service to be whole', async () => {
        const status = await requestJson(control, '/status');
        return status.pid === now && status.state === 'running' && status.ready === 2;
      });
      await masters.until('nobody of the old ones', () => s.processesLeft().length === 3);
      assert.equal(masters.pid(true), null);
    }
    await load.further(50);
    await calm();
    await masters.stop();
  });

  it('the new master is killed at any moment while there is an old one: that one serves', async (t) => {
    const service = await start(t, { args: ['--upgrade-by-hand'] });
    const { s, masters } = service;
    const { load, calm } = await underLoad(t, service);
    const old = masters.current();
    const workers = masters.workers(old);
    for (const [round, moment] of moments.entries()) {
      masters.signal('SIGUSR2', old);
      await masters.waitForLine(/^upgrade \d+ started/, round + 1);
      const pid = Number(s.log.findLast(({ msg }) => /^upgrade \d+ started/.test(msg))?.pid);
      await pause(moment);
      process.kill(pid, 'SIGKILL');
      await masters.until('the old ones alone', () => s.processesLeft().length === 3);
      await masters.waitForLine(/^(upgrade \d+ failed|the new master is gone)/, round + 1);
      assert.deepEqual([masters.pid(), masters.pid(true)], [old, null]);
      assert.deepEqual(masters.workers(old), workers);
    }
    await load.further(50);
    await calm();
    await stop(service);
  });
});
