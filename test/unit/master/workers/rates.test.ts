/** Requests per second, by the worker's clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rates } from '../../../../src/master/workers/rates.ts';

/** The rate after heartbeats with these counts, at these times. */
function after(...beats: readonly (readonly [requests: number, at: number | null])[]): number {
  const rates = new Rates();
  for (const [requests, at] of beats) rates.onBeat(1, requests, at);
  return rates.of(1);
}

test('rates: the first heartbeat says nothing, the next ones come nearer to the rate', () => {
  assert.equal(after(), 0);
  assert.equal(after([500, 10_000]), 0);
  assert.equal(after([0, 0], [100, 500]), 100);
  const beats = Array.from({ length: 20 }, (_, i) => [i * 100, i * 500] as const);
  assert.ok(Math.abs(after(...beats) - 200) < 1);
});

test('rates: it does not matter when the master reads the heartbeats, only when they were taken', () => {
  const steady = Array.from({ length: 10 }, (_, i) => [i * 100, i * 500] as const);
  // A master that was stopped misses some; what it then reads is seconds apart, or was taken a moment ago.
  const paused = steady.filter((_, i) => i < 3 || i > 7);
  assert.ok(Math.abs(after(...steady) - after(...paused)) < 30, `${after(...steady)} ${after(...paused)}`);
  assert.equal(after(...steady, [1_000, 4_501], [1_001, 4_510]), after(...steady));
});

test('rates: whatever a worker says, the rate is a number that can be', () => {
  const hostile = [0, 1, 5, 49, 50, 1e9, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, null];
  for (const first of hostile)
    for (const second of hostile)
      for (const count of [0, 1, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]) {
        const rate = after([7, first], [count, second], [count, 60]);
        assert.ok(Number.isFinite(rate) && rate >= 0 && rate <= 1_000_000, `${first} ${second} ${count}: ${rate}`);
      }
  // A clock that goes backwards starts anew.
  assert.equal(after([0, 10_000], [100, 500], [200, 1_000]), 100);
  assert.equal(after([100, 0], [50, 1_000]), 0);
});

test('rates: what is forgotten is forgotten', () => {
  const rates = new Rates();
  rates.onBeat(1, 0, 0);
  rates.onBeat(1, 100, 500);
  rates.forget(1);
  assert.equal(rates.of(1), 0);
});
