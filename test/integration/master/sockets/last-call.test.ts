/** The end of the listening sockets: clients that go on connecting are answered or refused, and none is reset. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { supportsReusePort } from '../../../../src/system/node-internals.ts';
import { startLoad } from '../../../support/load/child.ts';
import { table, total } from '../../../support/load/mix.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';

const stops = 3;
/** Connections that are kept are closed at once. */
const withoutLinger = 'without a linger';

/** Stops a service while clients connect as fast as they can. */
async function stopUnderLoad(t: TestContext, options: SupervisorOptions, keepsIdle: boolean): Promise<void> {
  const s = await startSupervisor(t, { workers: 3, ...options });
  await s.waitReady(30_000);
  const load = startLoad(t, {
    target: s.target,
    groups: [
      { kind: 'fresh', clients: 24, think: 4 },
      ...(keepsIdle
        ? ([
            { kind: 'busy', clients: 4 },
            { kind: 'idle', clients: 4 },
          ] as const)
        : []),
    ],
  });
  await load.answered(300);
  s.signal('SIGTERM');
  const { code } = await s.waitExit(30_000);
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(code, 0);
  assert.ok(all.failedAs('refused') > 0, 'the load ended before the stop');
  assert.equal(all.failed, all.failedAs('refused'), `${table(report)}\n${all.details.join('\n')}`);
}

describe('SIG-02: TERM under a load of new connections resets nobody', () => {
  const ways: readonly [string, SupervisorOptions, boolean][] = [
    ['TCP', {}, true],
    ['a unix socket', { unix: true }, true],
    ['after a drainDelay', { args: ['--drain-delay', '500ms'] }, true],
    ['a queue for each worker', { args: ['--queues', 'per-worker'] }, supportsReusePort()],
    [withoutLinger, { args: ['--drain-linger', '0'] }, true],
  ];
  for (const [what, options, isPossible] of ways) {
    test(what, { skip: !isPossible }, async (t) => {
      for (let stop = 0; stop < stops; stop++) await stopUnderLoad(t, options, what !== withoutLinger);
    });
  }
});

test('in the time before the stop answers say that their connection ends, and new connections are accepted', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--drain-delay', '1m'] });
  await s.waitReady(30_000);
  const kept = await RawSocket.connected(s.target);
  t.after(() => kept.close());
  await kept.write(head('/pid')).waitFor(/\}$/);
  assert.doesNotMatch(kept.text, /connection: close/i);
  s.signal('SIGTERM');
  await s.waitForLog(/^stopping \(graceful\)/);
  // The worker hears of it a moment later: until then it is asked again.
  for (let request = 2; !/connection: close/i.test(kept.text); request++) {
    const { responses } = kept;
    assert.equal(responses, request - 1);
    kept.write(head('/pid'));
    await kept.waitFor(new RegExp(`(HTTP/1\\.1 200[\\s\\S]*){${request}}\\}$`));
  }
  await kept.waitEnd();
  for (let count = 0; count < 4; count++) {
    const fresh = await RawSocket.connected(s.target);
    t.after(() => fresh.close());
    await fresh.write(head('/pid')).waitFor(/connection: close[\s\S]*\}$/i);
    await fresh.waitEnd();
  }
  s.signal('SIGQUIT');
  await s.waitExit();
});
