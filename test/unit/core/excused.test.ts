/** A worker that an operator has stopped on purpose: its silence is no fault for a while, and others have its clients. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Action } from '../../../src/core/actions.ts';
import { decide } from '../../../src/core/decide.ts';
import { type Fleet, initialFleet, newWorker } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const timeout = 10_000;
const policy = { ...defaultPolicy, workers: 2, timeout, blockedWarning: 1_000, migration: true };

/** Two workers that serve. */
function serving(): Fleet {
  const worker = (id: number) => ({
    ...newWorker({ id, slot: id - 1, generation: 1 }, 0),
    pid: 100 + id,
    phase: { name: 'ready', since: 0 } as const,
  });
  return { ...initialFleet(policy), start: 'complete', workers: [worker(1), worker(2)], nextWorkerId: 3 };
}

const beat = (fleet: Fleet, id: number, now: number): Fleet =>
  observe(fleet, { type: 'workerBeat', id, figures: { requests: 0, rss: 0, connections: 0 } }, now);

const of = (actions: readonly Action[], id: number): string[] =>
  actions.flatMap((action) => ('id' in action && action.id === id ? [action.type] : []));

describe('INS-04 a worker that is excused', () => {
  it('gives its connections to others, takes none, and is neither reported nor killed', () => {
    let { fleet } = decide(serving(), 0);
    fleet = observe(fleet, { type: 'workerExcused', id: 1, within: 60_000 }, 1_000);
    const told = decide(fleet, 1_000);
    const moved = told.actions.filter(({ type }) => type === 'migrate');
    assert.deepEqual(moved, [{ type: 'migrate', id: 1, keep: 0, take: 0, atWork: false, heirs: false }]);
    fleet = beat(told.fleet, 2, 59_000);
    const late = decide(fleet, 59_000);
    assert.deepEqual(of(late.actions, 1), []);
    assert.ok(late.wakeAt !== null && late.wakeAt <= 61_000, 'it wakes when the excuse ends');
  });

  it('is as before when it is over, and has its whole time to be heard of', () => {
    let { fleet } = decide(serving(), 0);
    fleet = decide(observe(fleet, { type: 'workerExcused', id: 1, within: 60_000 }, 1_000), 1_000).fleet;
    fleet = observe(beat(fleet, 2, 50_000), { type: 'workerExcused', id: 1, within: 0 }, 50_000);
    const over = decide(fleet, 50_000);
    assert.deepEqual(over.actions, [{ type: 'migrate', id: 1, keep: null, take: null, atWork: false, heirs: false }]);
    assert.deepEqual(of(decide(beat(over.fleet, 2, 50_900), 50_900).actions, 1), []);
  });

  it('is stuck after all if its silence goes on', () => {
    let { fleet } = decide(serving(), 0);
    fleet = decide(observe(fleet, { type: 'workerExcused', id: 1, within: 60_000 }, 1_000), 1_000).fleet;
    const { actions } = decide(beat(fleet, 2, 71_000), 71_000);
    assert.ok(actions.some((action) => action.type === 'capture' && action.id === 1 && action.fatal));
  });

  it('serves everybody as ever if it is alone', () => {
    const fleet = { ...serving(), wanted: 1, workers: serving().workers.slice(0, 1) };
    const first = decide(fleet, 0).fleet;
    const { actions } = decide(observe(first, { type: 'workerExcused', id: 1, within: 60_000 }, 1_000), 1_000);
    assert.deepEqual(actions, []);
  });
});
