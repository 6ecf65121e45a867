import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Allowance } from '../../../../src/master/workers/allowance.ts';

test('an allowance has a burst at once, and then its rate; a clock that goes back takes nothing away', () => {
  const allowance = new Allowance(10, 3, 1_000);
  assert.deepEqual(
    [1, 1, 1].map((amount) => allowance.take(amount, 1_000)),
    [true, true, true],
  );
  assert.equal(allowance.take(1, 1_099), false);
  assert.equal(allowance.take(1, 1_210), true);
  assert.equal(allowance.take(0, 500), true);
  // It never holds more than a burst.
  assert.equal(allowance.take(4, 1e9), false);
  const other = new Allowance(10, 3, 0);
  assert.equal(other.take(3, 1e9), true);
});
