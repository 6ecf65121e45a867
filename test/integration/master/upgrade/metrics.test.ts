/** Counters outlive the master: an upgrade takes nothing from them, and adds nothing. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { it } from 'node:test';
import { readExposition, sumOf } from '../../../support/exposition.ts';
import { table, total } from '../../../support/load/mix.ts';
import { startService as start, stopService as stop, underLoad } from '../../../support/masters.ts';
import { fixture } from '../../../support/paths.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { pause, until } from '../../../support/until.ts';

it('CTL-04 UPG-05: http_requests_total is what the clients counted over upgrades too, and never falls', {
  timeout: stretched(120_000),
}, async (t) => {
  const admin = await freePort();
  const statsd = createSocket('udp4');
  t.after(() => statsd.close());
  let told = 0;
  statsd.on('message', (datagram) => {
    for (const [, count] of datagram.toString().matchAll(/^prefork\.requests:(\d+)\|c$/gm)) told += Number(count);
  });
  statsd.bind(0, '127.0.0.1');
  await once(statsd, 'listening');
  const service = await start(t, {
    args: ['--admin', `127.0.0.1:${admin}`, '--statsd', `127.0.0.1:${statsd.address().port}`],
  });
  const { masters } = service;
  const count = async (): Promise<number> =>
    sumOf(readExposition((await request({ port: admin }, '/metrics')).body), 'http_requests_total');
  const { load, calm } = await underLoad(t, service, 100);
  let last = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const now = await count();
      assert.ok(now >= last, `${now} after ${last}`);
      last = now;
      await pause(50);
    }
  })();
  for (let round = 0; round < 3; round += 1) {
    const now = await masters.upgrade();
    await load.heardFrom(masters.workers(now));
    await masters.waitForLine(/^the master before this one is gone/, round + 1);
  }
  const report = await calm();
  isOver = true;
  await watching;
  const { sent, answered, failed } = total(report);
  assert.deepEqual([answered, failed], [sent, 0], table(report));
  await until('every request to be counted', async () => (await count()) >= sent, { within: 15_000 });
  assert.equal(await count(), sent);
  await until('statsd to know of all', () => told >= sent, { within: 15_000 });
  assert.equal(told, sent);
  await stop(service);
});

it("the app's own counters pass to the new master", { timeout: stretched(120_000) }, async (t) => {
  const admin = await freePort();
  const service = await start(t, {
    app: fixture('metrics/app.mjs'),
    args: ['--admin', `127.0.0.1:${admin}`],
  });
  const { s, masters } = service;
  const orders = async (): Promise<number> =>
    sumOf(readExposition((await request({ port: admin }, '/metrics')).body), 'orders_total');
  for (let round = 1; round <= 3; round += 1) {
    for (let index = 0; index < 10; index += 1) await request(s.target, '/order');
    await masters.upgrade();
    await masters.waitForLine(/^the master before this one is gone/, round);
    await until('all orders', async () => (await orders()) >= round * 10, { within: 15_000 });
    assert.equal(await orders(), round * 10);
  }
  await stop(service);
});
