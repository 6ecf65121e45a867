/** How a reload moves from state to state, fact by fact, and in which it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../../src/core/decide.ts';
import { type Fleet, initialFleet, moves, newWorker, type Worker } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const policy = { ...defaultPolicy, workers: 1, bootTimeout: 1_000 };
const old: Worker = {
  ...newWorker({ id: 1, slot: 0, generation: 1 }, 0),
  phase: { name: 'ready', since: 0 },
  queues: [0],
  moves: { ...moves.free, atWork: false, heirs: false },
};
const canary = newWorker({ id: 2, slot: 0, generation: 2 }, 0);
const base = { reload: 1, since: 0, rollback: null, order: 'roll' } as const;
const serving: Fleet = { ...initialFleet(policy), start: 'complete', reloads: 1, workers: [old], nextWorkerId: 2 };
const preparing: Fleet = { ...serving, reload: { ...base, state: 'preparing' } };
/** Its own bootTimeout is longer than that of the generation in force. */
const onTrial: Fleet = {
  ...serving,
  workers: [old, canary],
  reload: {
    ...base,
    state: 'canary',
    generation: 2,
    policy: { ...policy, bootTimeout: 60_000 },
    stage: { name: 'boot' },
  },
  nextWorkerId: 3,
};

test('core: a reload that cannot be prepared is refused, and no canary is ever known of it', () => {
  const refused = observe(preparing, { type: 'reloadPrepareFailed', reload: 1, reason: 'no such file' }, 5);
  assert.deepEqual(refused, { ...serving, reload: { ...base, state: 'refused', reason: 'no such file' } });
  const { fleet, actions } = decide(refused, 5);
  assert.deepEqual(actions, [{ type: 'reject', reload: 1, reason: 'no such file', duration: 5 }]);
  const outcome = { verdict: 'rejected', reload: 1, generation: 1, reason: 'no such file', duration: 5 } as const;
  assert.deepEqual(fleet, { ...serving, reload: { state: 'idle' }, lastReload: outcome, workers: fleet.workers });
});

test('core: a canary that says it fails is sent away as rejected, even if the old bootTimeout has passed already', () => {
  const refused = observe(onTrial, { type: 'workerFailed', id: 2, kind: 'boot', reason: 'Error: x' }, 2_000);
  assert.deepEqual(refused.reload, { ...base, state: 'refused', reason: 'Error: x' });
  const { fleet, actions } = decide(refused, 2_000);
  const { since } = base;
  assert.deepEqual(
    actions.filter(({ type }) => type !== 'assign'),
    [
      { type: 'reject', reload: 1, reason: 'Error: x', duration: 2_000 - since },
      { type: 'kill', id: 2, reason: 'reload-rejected', signal: 'SIGKILL' },
    ],
  );
  assert.equal(fleet.reload.state, 'idle');
});

test('core: the first failure of a canary is the reason, what comes after it changes nothing', () => {
  const refused = observe(onTrial, { type: 'workerFailed', id: 2, kind: 'boot', reason: 'Error: x' }, 10);
  const gone = observe(refused, { type: 'workerExited', id: 2, code: 1, signal: null, jitter: 0 }, 10);
  assert.deepEqual(gone.reload, { ...base, state: 'refused', reason: 'Error: x' });
  assert.deepEqual(gone.workers, [old]);
});

test('core: a worker in force that fails refuses no reload; news of another reload are not of this one', () => {
  const failed = observe(onTrial, { type: 'workerFailed', id: 1, kind: 'boot', reason: 'Error: x' }, 10);
  assert.equal(failed.reload, onTrial.reload);
  for (const reload of [0, 2]) {
    assert.equal(observe(preparing, { type: 'reloadPrepareFailed', reload, reason: 'late' }, 10), preparing);
    assert.equal(observe(preparing, { type: 'reloadPrepared', reload, policy }, 10), preparing);
  }
  assert.equal(observe(onTrial, { type: 'reloadPrepareFailed', reload: 1, reason: 'late' }, 10), onTrial);
});

test('core: CON-03 a stop that comes with the refusal rejects the reload once', () => {
  const refused = observe(preparing, { type: 'reloadPrepareFailed', reload: 1, reason: 'no such file' }, 5);
  const { fleet, actions } = decide(observe(refused, { type: 'stopRequested', kind: 'graceful' }, 5), 5);
  assert.equal(actions.filter(({ type }) => type === 'reject').length, 1);
  assert.equal(fleet.reload.state, 'idle');
  assert.equal(fleet.lastReload?.verdict, 'rejected');
});
