/** Which workers turn requests away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusals } from '../../../../src/master/workers/refusals.ts';

test('LIM-03: a worker refuses while the count in its heartbeats grows, and for a moment longer', () => {
  const refusals = new Refusals();
  assert.equal(refusals.isRefusing(1), false);
  const after = (rejected: number | null, at: number | null): boolean => {
    refusals.onBeat(1, rejected, at);
    return refusals.isRefusing(1);
  };
  const steps = [
    [0, 500, false],
    [3, 1_000, true],
    [3, 2_000, true],
    [3, 2_600, false],
    [4, 3_100, true],
    // What is no count says nothing.
    [null, 9_000, true],
    [9, null, true],
    [4, 4_700, false],
  ] as const;
  for (const [rejected, at, expected] of steps) assert.equal(after(rejected, at), expected, `${rejected} at ${at}`);
  after(5, 5_000);
  assert.equal(refusals.isRefusing(2), false);
  refusals.forget(1);
  assert.equal(refusals.isRefusing(1), false);
});
