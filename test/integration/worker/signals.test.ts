/** Signals that reach a worker itself, the app's own listeners, and the loss of the master. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { head, RawSocket } from '../../support/raw.ts';
import { request } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { stays, until } from '../../support/until.ts';
import { gone, start as startWorker, type WorkerUnderTest } from '../../support/worker-harness.ts';

/** @param how the name of what the app does */
async function start(how: string): Promise<WorkerUnderTest> {
  return await startWorker({ app: 'worker/signals.cjs', env: { HOW: how } });
}

describe('SIG-05 SIG-06 SIG-07: a signal to the worker itself', () => {
  test('neither ends it nor reaches the app; of a TERM the master hears', async () => {
    const worker = await start('async');
    const ignored = ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGWINCH', 'SIGTTIN', 'SIGTTOU', 'SIGPIPE'] as const;
    for (const signal of ignored) worker.kill(signal);
    worker.kill('SIGTERM');
    await worker.waitFor('termed');
    await stays('alive', () => worker.exit === null, 200);
    assert.equal((await request({ port: worker.port() }, '/')).status, 200);
    assert.equal(worker.output, '');
    assert.equal(worker.all('termed').length, 1);
  });

  test('so also where the app removes all listeners', async () => {
    const worker = await start('removes');
    worker.kill('SIGTERM');
    await worker.waitFor('termed');
    await stays('alive', () => worker.exit === null, 100);
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
    assert.doesNotMatch(worker.output, /removed/);
  });

  test("SIGUSR2 is the app's", async () => {
    const worker = await start('usr2');
    worker.kill('SIGUSR2');
    await until("the app's listener", () => worker.output.includes('usr2'));
  });

  test('a thousand HUPs during a request do it no harm', async () => {
    const worker = await start('none');
    const answer = request({ port: worker.port() }, '/?ms=500');
    for (let count = 0; count < 1_000; count++) worker.kill('SIGHUP');
    assert.equal((await answer).status, 200);
  });
});

describe("the app's SIGTERM listeners", () => {
  test('run after the drain, each with its arguments; one that throws does not stop the others', async () => {
    const worker = await start('async');
    const answer = request({ port: worker.port() }, '/?ms=300');
    await until('the request', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    worker.drain();
    await stays('not called yet', () => !worker.output.includes('first'), 100);
    assert.equal((await answer).status, 200);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.match(worker.output, /first \["SIGTERM",15\] true/);
    assert.match(worker.output, /Error: second throws/);
    // Ours and the two that stay.
    assert.match(worker.output, /third, left 3/);
    assert.match(worker.output, /first done[\s\S]*exit 0/);
    assert.doesNotMatch(worker.output, /not this one/);
    assert.equal(worker.messages.findIndex(({ type }) => type === 'drained') > 0, true);
  });

  test('find a server that can be closed, and closes once', async () => {
    const worker = await start('callback');
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
    assert.match(worker.output, /listening false\n[\s\S]*closed well\ndatabase closed/);
    assert.equal(worker.output.match(/close event/g)?.length, 1);
  });

  test('are waited for where they work with callbacks', async () => {
    const worker = await start('callback-without-exit');
    const drainedAt = performance.now();
    worker.drain({ within: 10_000 });
    assert.deepEqual(await worker.waitExit(), gone);
    assert.match(worker.output, /written/);
    assert.ok(performance.now() - drainedAt < stretched(3_000), 'it did not wait for the timeout');
  });

  test('where there are none, those of SIGINT', async () => {
    const worker = await start('int');
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
    assert.match(worker.output, /int SIGINT 2/);
  });

  test('may raise the signal again', async () => {
    const worker = await start('raises');
    worker.drain();
    assert.deepEqual(await worker.waitExit(), gone);
    assert.match(worker.output, /raising/);
    assert.deepEqual(worker.all('termed'), []);
  });

  test('SIG-03: are bounded by the deadline', async () => {
    const worker = await start('hangs');
    const startedAt = performance.now();
    worker.drain({ within: 1_000 });
    assert.deepEqual(await worker.waitExit(), gone);
    const took = performance.now() - startedAt;
    assert.ok(took > 900 && took < stretched(1_900), `took ${took} ms`);
  });

  test('without any, an idle worker is gone at once', async () => {
    const worker = await start('none');
    const startedAt = performance.now();
    worker.drain({ within: 10_000, linger: 2_000 });
    assert.deepEqual(await worker.waitExit(), gone);
    assert.ok(performance.now() - startedAt < stretched(500));
  });
});

describe('the channel', () => {
  test('when the master is gone the worker drains and ends', async () => {
    const worker = await start('async');
    const kept = await RawSocket.connected({ port: worker.port() });
    await kept.write(head('/')).waitFor(/listeners/);
    const answer = request({ port: worker.port() }, '/?ms=400');
    await until('the request', () => worker.all('beat').at(-1)?.figures.inFlight === 1);
    worker.disconnect();
    assert.equal((await answer).status, 200);
    assert.deepEqual(await worker.waitExit(), gone);
    assert.equal(await kept.waitEnd(), 'fin');
    assert.match(worker.output, /first done/);
  });

  for (const how of ['disconnects', 'cluster-disconnects']) {
    test(`so also when the app itself ${how.replace('-', '.')}`, async () => {
      const worker = await start(how);
      const answer = request({ port: worker.port() }, '/?ms=500');
      assert.equal((await answer).status, 200);
      assert.deepEqual(await worker.waitExit(), gone);
    });
  }

  test('an app that calls cluster.worker.kill() ends, as under node:cluster', async () => {
    const worker = await start('cluster-kills');
    assert.deepEqual(await worker.waitExit(), gone);
    assert.deepEqual(worker.offences, []);
  });

  test("the app's own messages go nowhere, which is told once; prefork's are not seen", async () => {
    const worker = await start('messages');
    assert.equal(worker.all('unheard').length, 1);
    assert.deepEqual(worker.offences, []);
    worker.sendForeign({ yours: 2 });
    await until('the answer', () => worker.output.includes('got {"yours":2}'));
    assert.equal(worker.output.match(/got/g)?.length, 1);
  });

  test('output that nobody reads any more does not end the worker', async () => {
    const worker = await start('usr2');
    worker.closeOutput();
    worker.kill('SIGUSR2');
    worker.kill('SIGUSR2');
    await stays('alive', () => worker.exit === null, 200);
    assert.equal((await request({ port: worker.port() }, '/')).status, 200);
  });
});

describe('heartbeats', () => {
  test('come at their time, with figures that are plausible', async () => {
    const worker = await start('none');
    for (let count = 0; count < 3; count++) await request({ port: worker.port() }, '/');
    const before = worker.all('beat').length;
    await until('five more', () => worker.all('beat').length >= before + 5, { within: 2_000 });
    const { figures } = worker.all('beat').at(-1) ?? assert.fail();
    assert.equal(figures.requests, 3);
    assert.equal(figures.inFlight, 0);
    assert.ok(figures.rss > 20e6 && figures.heapUsed > 1e6);
    assert.ok(figures.loopUtilisation >= 0 && figures.loopUtilisation <= 1);
    assert.ok(figures.loopDelayMax < stretched(100), `${figures.loopDelayMax}`);
  });
});
