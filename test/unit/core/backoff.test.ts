/** How long a slot waits before its next boot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoff } from '../../../src/core/fleet.ts';
import { wellBehaved } from '../../support/core/process.ts';
import { Simulator } from '../../support/core/simulator.ts';

const failures = fc.integer({ min: 1, max: 10_000 });
const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('core: LOOP-01 the backoff begins at 100 ms, grows by half, and ends at 30 s', () => {
  assert.equal(backoff(1, 0.5), 100);
  assert.equal(backoff(2, 0.5), 150);
  assert.equal(backoff(3, 0.5), 225);
  assert.equal(backoff(15, 0.5), Math.round(100 * 1.5 ** 14));
  assert.equal(backoff(16, 0.5), 30_000);
  assert.equal(backoff(1_000_000, 0.5), 30_000);
});

test('core: LOOP-01 jitter spreads the backoff by a quarter either way, never beyond the cap', () => {
  fc.assert(
    fc.property(failures, jitter, (count, random) => {
      const step = Math.min(30_000, 100 * 1.5 ** Math.min(count - 1, 40));
      const wait = backoff(count, random);
      assert.ok(Number.isInteger(wait));
      assert.ok(wait >= Math.floor(step * 0.75) && wait <= Math.ceil(step * 1.25) && wait <= 30_000, `${wait}`);
    }),
  );
  assert.equal(backoff(1, 0), 75);
  assert.equal(backoff(1, 0.999_999), 125);
});

test('core: LOOP-01 more failures never wait less, more jitter never less', () => {
  fc.assert(
    fc.property(failures, jitter, jitter, (count, one, other) => {
      assert.ok(backoff(count + 1, one) >= backoff(count, one));
      assert.ok(backoff(count, Math.max(one, other)) >= backoff(count, Math.min(one, other)));
    }),
  );
});

test('core: LOOP-01 at most 15 forks a slot in the first minute, however the worker fails and the dice fall', () => {
  const ways = [
    { failsWith: 1 },
    { diesAfter: 0 },
    { diesAfter: 50 },
    { diesAfter: 1_900 },
    { forkFails: true },
    { misbehavesAfter: 1 },
    { misbehavesAfter: 200 },
  ];
  for (const way of ways) {
    for (const boot of [60, 500]) {
      for (const dice of [0, 0.5, 0.999]) {
        const healthy = { ...wellBehaved };
        const sim = new Simulator({
          policy: { workers: 2, maxBooting: 2, timeout: 0 },
          jitter: () => dice,
          // Slot 1's first worker serves, so that this is no hopeless first start.
          behaviour: (id) => (id === 2 ? healthy : { ...wellBehaved, boot, ...way }),
        });
        sim.at(0, () => sim.post({ type: 'ticked' }));
        sim.runUntil(60_000);
        const forks = sim.trace.filter(({ action }) => action.type === 'spawn' && action.slot === 0).length;
        // All dice falling on the shortest wait gives two more; so does being replaced at the kill, before the exit counts.
        const most = dice === 0 || 'misbehavesAfter' in way ? 17 : 15;
        assert.ok(forks >= 5 && forks <= most, `${forks} forks: ${JSON.stringify({ way, boot, dice })}`);
      }
    }
  }
});
