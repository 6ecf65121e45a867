/** The size of a pool that follows its load, where an operator or a new configuration changes it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../src/core/actions.ts';
import { decide } from '../../../src/core/decide.ts';
import { seated } from '../../../src/core/fleet.ts';
import { type Fleet, initialFleet, moves, newWorker, type Worker } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const policy = { ...defaultPolicy, workers: 1, autoscale: { min: 1, max: 6 }, maxWorkers: 6 };
const start = 100_000;

/** Four workers without work, which the pool has had too many of for a second. */
const idle: Fleet = {
  ...initialFleet(policy, 1, 4),
  start: 'complete',
  workers: [0, 1, 2, 3].map(
    (slot): Worker => ({
      ...newWorker({ id: slot + 1, slot, generation: 1 }, 0),
      phase: { name: 'ready', since: 0 },
      queues: [0],
      moves: { ...moves.free, atWork: false, heirs: false },
    }),
  ),
  nextWorkerId: 5,
  scaling: { trend: 'down', since: start - 1_000, isHeld: false, last: null },
};

const resizes = (actions: readonly Action[]) => actions.filter(({ type }) => type === 'resize');

/** The fleet without what has no slot any more, all others having said just now that they have nothing to do. */
function later(fleet: Fleet, now: number): Fleet {
  const workers = seated(fleet).filter(({ slot }) => slot < fleet.wanted);
  return { ...fleet, workers: workers.map((worker): Worker => ({ ...worker, beatAt: now })) };
}

test('core: AUTO-01 a size that an operator asks for has its reason, and the load is judged anew from then on', () => {
  const asked = observe(later(idle, start), { type: 'scaleRequested', by: -1 }, start);
  assert.deepEqual(asked.scaling.last, { from: 4, to: 3, reason: 'asked for by an operator', at: start });
  let { fleet } = decide(asked, start);
  for (const [after, count] of [
    [10_000, 0],
    [29_999, 0],
    [30_000, 1],
  ] as const) {
    const next = decide(later(fleet, start + after), start + after);
    assert.equal(resizes(next.actions).length, count, `after ${after} ms`);
    fleet = next.fleet;
  }
  const same = observe(fleet, { type: 'resizeRequested', to: fleet.wanted }, start + 31_000);
  assert.equal(same.scaling, fleet.scaling, 'the size that it has is no change');
});

test('core: AUTO-01 a configuration with another range, or another number, says that it changes the size', () => {
  const canary = newWorker({ id: 5, slot: 0, generation: 2 }, 0);
  const reloading = (next: typeof policy | typeof defaultPolicy): Fleet => ({
    ...later(idle, start),
    workers: [...idle.workers, { ...canary, phase: { name: 'ready', since: start } }],
    reload: {
      ...{ reload: 1, since: 0, rollback: null, order: 'roll' },
      ...{ state: 'canary', generation: 2, policy: { ...next, minReady: 0 }, stage: { name: 'boot' } },
    },
    nextWorkerId: 6,
  });
  for (const [next, to] of [
    [{ ...policy, workers: 5, autoscale: { min: 5, max: 6 } }, 5],
    [{ ...policy, workers: 1, autoscale: { min: 1, max: 2 } }, 2],
    [{ ...defaultPolicy, workers: 3 }, 3],
  ] as const) {
    const { fleet, actions } = decide(reloading(next), start);
    assert.deepEqual(resizes(actions), [{ type: 'resize', from: 4, to, reason: 'the setting workers says so' }]);
    assert.deepEqual(fleet.scaling.last, { from: 4, to, reason: 'the setting workers says so', at: start });
  }
  assert.deepEqual(resizes(decide(reloading(policy), start).actions), [], 'a reload keeps the size');
});

test('core: AUTO-02 that there is no memory for more is said once, also if the load swings', () => {
  const swing = [0.9, 0.7, 0.9, 0.7, 0.9, 0.4, 0.9];
  let fleet: Fleet = { ...idle, memory: 0 };
  let now = start;
  const said = swing.map((busy) => {
    let holds = 0;
    for (let second = 0; second < 5; second += 1) {
      now += 1_000;
      const workers = later(fleet, now).workers.map((worker): Worker => ({ ...worker, busy }));
      const next = decide({ ...fleet, workers }, now);
      assert.deepEqual(resizes(next.actions), []);
      holds += next.actions.filter(({ type }) => type === 'holdSize').length;
      fleet = next.fleet;
    }
    return holds;
  });
  assert.deepEqual(said, [1, 0, 0, 0, 0, 0, 1]);
});
