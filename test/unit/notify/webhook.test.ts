/** What is posted where, and what is said of a receiver that does not take it. */
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { ServiceEvent } from '../../../src/config/service-event.ts';
import { webhookOf } from '../../../src/notify/webhook.ts';

const base = { time: '2026-01-01T00:00:00.000Z', service: 'shop', master: 1 };
const event: ServiceEvent = { ...base, id: 'm-1', type: 'stopped', status: 0, reason: null, generation: 1 };

/** Answers each request with the next of these statuses, then with 204. */
async function startReceiver(t: TestContext, statuses: readonly number[] = []) {
  const received: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    const status = statuses[received.length] ?? 204;
    received.push(request.headers);
    request.resume();
    response.writeHead(status, { 'retry-after': '0', location: '/elsewhere' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, at: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function tell(url: string) {
  const said: string[] = [];
  const post = webhookOf(url, (line) => void said.push(line));
  return { said, post: () => post(event) };
}

describe('the webhook', () => {
  it('sends name and password as they are meant, also with a % that stands for itself', async (t) => {
    const { at, received } = await startReceiver(t);
    for (const [written, meant] of [
      ['us%40er:p%3Aw', 'us@er:p:w'],
      ['robot:100%', 'robot:100%'],
      ['robot:p%zz%C3%A9', 'robot:p%zzé'],
    ] as const) {
      await tell(`http://${written}@${at}/`).post();
      assert.equal(received.at(-1)?.authorization, `Basic ${Buffer.from(meant).toString('base64')}`);
    }
  });

  it('says once that posts begin to fail, and again only after one was taken', async (t) => {
    const { at } = await startReceiver(t, [500, 503, 204, 429]);
    const { said, post } = tell(`http://${at}/`);
    await post();
    await post();
    assert.deepEqual(said, [
      'event stopped: it answered 500; it is tried again',
      'event stopped: it answered 429; it is tried again',
    ]);
  });

  it('gives up at once what cannot come to be: a redirect, a port that fetch refuses', async (t) => {
    const { at, received } = await startReceiver(t, [301]);
    const { said, post } = tell(`http://${at}/`);
    await assert.rejects(post(), { message: 'it answered 301, and redirects are not followed' });
    assert.equal(received.length, 1);
    await assert.rejects(tell('http://127.0.0.1:6000/').post(), { message: 'fetch refuses it: bad port' });
    assert.deepEqual(said, []);
  });
});
