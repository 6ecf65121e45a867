/** A worker that writes a heap snapshot blocks, and has the time of its drain for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../../src/core/decide.ts';
import { fixed } from '../../../src/core/fixed.ts';
import { type Fleet, initialFleet, newWorker, type RetireReason, type Worker } from '../../../src/core/model.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const timeout = 2_000;
const deadline = 30_000;

function actionsFor(snapshots: boolean, reason: RetireReason, now: number): readonly string[] {
  const base = newWorker({ id: 1, slot: 0, generation: 1 }, 0);
  const phase = { name: 'draining', since: 0, deadline, reason, quick: false, awaited: false, accepts: false } as const;
  const blocked: Worker = { ...base, pid: 7, phase };
  const serves: Worker = {
    ...newWorker({ id: 2, slot: 0, generation: 1 }, 0),
    pid: 8,
    beatAt: now,
    phase: { name: 'ready', since: 0 },
  };
  const fleet: Fleet = {
    ...initialFleet({ ...defaultPolicy, workers: 1, timeout, blockedWarning: 1_000, snapshots }),
    start: 'complete',
    workers: [blocked, serves],
    nextWorkerId: 3,
  };
  return decide(fleet, now).actions.flatMap((action) =>
    'id' in action && action.id === 1 && action.type !== 'migrate' ? [action.type] : [],
  );
}

test('core: HEAP-02 a worker that is retired for its memory may block while it writes a heap snapshot', () => {
  assert.deepEqual(actionsFor(true, 'memory', 10_000), []);
  assert.deepEqual(actionsFor(false, 'memory', 10_000), ['capture'], 'without snapshots it is stuck');
  assert.deepEqual(actionsFor(true, 'reload', 10_000), ['capture'], 'as is one that leaves for another reason');
});

test('core: HEAP-02 it is killed at the end of its drain all the same', () => {
  assert.deepEqual(actionsFor(true, 'memory', deadline + fixed.drainMargin), ['kill']);
});
