/** What in a worker's environment depends on its slot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inSlot, slotVariables } from '../../../src/config/slot-env.ts';

test('SLOT-01 the two names are always there, and each value with {slot}', () => {
  const variables = slotVariables({ A: 'x', B: '{slot}{slot}', C: '{ slot }', D: '$' });
  assert.deepEqual(inSlot(variables, 3), { NODE_APP_INSTANCE: '3', PREFORK_SLOT: '3', B: '33' });
});

test('SLOT-02 what the configuration sets itself stands', () => {
  assert.deepEqual(inSlot(slotVariables({ NODE_APP_INSTANCE: 'x', PREFORK_SLOT: 's{slot}' }), 0), {
    PREFORK_SLOT: 's0',
  });
});
