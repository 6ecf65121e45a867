/** What a stop waits for besides the workers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../../src/core/decide.ts';
import { type Fleet, initialFleet, type Policy } from '../../../src/core/model.ts';

const stopping = (kind: 'graceful' | 'quick'): Fleet => ({
  ...initialFleet({ workers: 0, autoscale: null, maxBooting: 1, gracefulTimeout: 30_000 } as Policy),
  start: 'complete',
  predecessor: 'leaves',
  stopping: { kind, deadline: 30_000, listening: false, acceptUntil: 0, status: 0 },
});
const exits = (fleet: Fleet, now: number): boolean => decide(fleet, now).actions.some(({ type }) => type === 'exit');

test('UPG a master that stops waits for the one before it, which still has clients; not for ever, and not in a hurry', () => {
  assert.equal(exits(stopping('graceful'), 1_000), false);
  assert.equal(decide(stopping('graceful'), 1_000).wakeAt, 30_000);
  assert.equal(exits({ ...stopping('graceful'), predecessor: 'none' }, 1_000), true);
  assert.equal(exits(stopping('graceful'), 30_000), true);
  assert.equal(exits(stopping('quick'), 1_000), true);
});
