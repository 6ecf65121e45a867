/** Where reports to statsd go, if its address is a host name. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import type { Family } from '../../../../src/master/metrics/family.ts';
import { Statsd } from '../../../../src/master/metrics/statsd.ts';

test('statsd: one look-up at a time, none for what is known; what was counted meanwhile is reported later', async (t) => {
  const receiver = createSocket('udp4');
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  t.after(() => receiver.close());
  const pending: ((address: string | null) => void)[] = [];
  const real = dns.lookup;
  t.after(() => {
    dns.lookup = real;
    syncBuiltinESMExports();
  });
  dns.lookup = (() =>
    new Promise((resolve, reject) => {
      pending.push((address) => (address === null ? reject(new Error('EAI_AGAIN')) : resolve({ address, family: 4 })));
    })) as unknown as typeof dns.lookup;
  syncBuiltinESMExports();
  const families: Family[] = [
    { name: 'app_total', help: 'x', type: 'counter', samples: [{ suffix: '', labels: {}, value: 3 }] },
  ];
  const statsd = new Statsd(
    () => families,
    () => ({ statsd: { host: 'statsd.test', port: receiver.address().port }, statsdPrefix: '', statsdTags: {} }),
  );
  const first = statsd.report();
  for (let i = 0; i < 20; i += 1) await statsd.report();
  assert.equal(pending.length, 1, 'one look-up');
  pending.pop()?.(null);
  await first;
  const second = statsd.report();
  assert.equal(pending.length, 1);
  const received = once(receiver, 'message') as Promise<[Buffer]>;
  pending.pop()?.('127.0.0.1');
  await second;
  const [message] = await received;
  assert.match(message.toString(), /app_total/);
  for (let i = 0; i < 20; i += 1) await statsd.report();
  assert.equal(pending.length, 0, 'it is known');
});
