/** The order to stop: its deadlines, and what a second one makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../../src/core/fixed.ts';
import { type Fleet, initialFleet, newWorker } from '../../../src/core/model.ts';
import { observeStop, stopFrom } from '../../../src/core/stop.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const policy = { ...defaultPolicy, gracefulTimeout: 30_000, drainDelay: 5_000 };
const worker = newWorker({ id: 1, slot: 0, generation: 1 }, 0);
const fleet: Fleet = { ...initialFleet(policy), reloadPending: true, workers: [worker] };

test('core: a stop has its time from when the last connection is accepted', () => {
  assert.deepEqual(stopFrom(100, 50), {
    kind: 'graceful',
    deadline: 150,
    listening: true,
    acceptUntil: 100,
    status: 0,
  });
  assert.deepEqual(stopFrom(100, 0, { kind: 'quick', status: 3 }), {
    kind: 'quick',
    deadline: 100,
    listening: true,
    acceptUntil: 100,
    status: 3,
  });
});

test('core: CTL-05 a graceful stop waits for drainDelay first; a quick one does not, nor one without workers', () => {
  assert.deepEqual(observeStop(fleet, 'graceful', 0, 100).stopping, stopFrom(5_100, 30_000));
  assert.deepEqual(observeStop({ ...fleet, workers: [] }, 'graceful', 0, 100).stopping, stopFrom(100, 30_000));
  const quick = stopFrom(100, fixed.quickStop, { kind: 'quick', status: 1 });
  assert.deepEqual(observeStop(fleet, 'quick', 1, 100).stopping, quick);
  assert.equal(observeStop(fleet, 'graceful', 0, 100).reloadPending, false);
});

test('core: SIG-04 a second request makes the stop quick, never later, and keeps the status; a third changes nothing', () => {
  const first = observeStop(fleet, 'graceful', 4, 100);
  const second = observeStop(first, 'graceful', 0, 1_100);
  const { stopping } = second;
  assert.deepEqual(stopping, {
    kind: 'quick',
    deadline: 1_100 + fixed.quickStop,
    listening: true,
    acceptUntil: 1_100,
    status: 4,
  });
  assert.equal(observeStop(second, 'quick', 0, 1_300), second);
  const late = observeStop(first, 'graceful', 0, 35_050);
  assert.equal(late.stopping?.deadline, first.stopping?.deadline);
});

test('core: SIG-04 a TERM that comes again within a second is the same one; INT and QUIT are not', () => {
  const first = observeStop(fleet, 'graceful', 0, 100);
  for (const now of [100, 120, 1_099]) assert.equal(observeStop(first, 'graceful', 0, now), first);
  // However often: what counts is the first one.
  assert.equal(observeStop(observeStop(first, 'graceful', 0, 900), 'graceful', 0, 1_100).stopping?.kind, 'quick');
  assert.equal(observeStop(first, 'quick', 0, 101).stopping?.kind, 'quick');
});
