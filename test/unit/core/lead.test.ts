/** Who leads, and who may not: turns that histories seldom meet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../../src/core/decide.ts';
import type { Event } from '../../../src/core/events.ts';
import { spent } from '../../../src/core/fleet.ts';
import { type Fleet, initialFleet, type Leadership, newWorker, type SeatedWorker } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';
import { renderAction } from '../../support/core/render.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const now = 100_000;
const policy = { ...defaultPolicy, workers: 3, maxSurge: 3, migration: false };
const held: Leadership = { right: 'held', claims: 1, leader: null, failures: 0, notBefore: 0 };

const worker = (id: number, slot: number, change: Partial<SeatedWorker> = {}): SeatedWorker => ({
  ...newWorker({ id, slot, generation: 1 }, 0),
  phase: { name: 'ready', since: 100 },
  beatAt: now,
  listening: true,
  candidate: true,
  queues: [0],
  ...change,
});
const fleetOf = (workers: Fleet['workers'], change: Partial<Fleet> = {}): Fleet => ({
  ...initialFleet(policy),
  start: 'complete',
  workers,
  nextWorkerId: 20,
  leadership: held,
  ...change,
});

/** What is done about who leads after these facts, in one turn. */
function turn(fleet: Fleet, ...events: readonly Event[]): readonly string[] {
  const { actions } = decide(
    events.reduce((known, event) => observe(known, event, now), fleet),
    now,
  );
  return actions.filter(({ type }) => /lead/i.test(type)).map(renderAction);
}

test('core: LEAD-01 the lowest slot leads, of workers whose app asks for it', () => {
  assert.deepEqual(turn(fleetOf([worker(1, 0), worker(2, 1), worker(3, 2)])), ['lead worker 1']);
  assert.deepEqual(turn(fleetOf([worker(1, 0, { candidate: false }), worker(2, 1)])), ['lead worker 2']);
  assert.deepEqual(turn(fleetOf([worker(1, 0, { candidate: false })])), []);
});

test('core: LEAD-01 rather one that stays: not spent, not silent, well, of the newest generation', () => {
  const at = (first: SeatedWorker, change: Partial<Fleet> = {}) => turn(fleetOf([first, worker(2, 1)], change));
  assert.deepEqual(at(spent(worker(1, 0), now, 'requests') as SeatedWorker), ['lead worker 2']);
  assert.deepEqual(at(worker(1, 0, { beatAt: now - 5_000 })), ['lead worker 2']);
  assert.deepEqual(at(worker(1, 0, { hindrance: 'no database' })), ['lead worker 2']);
  const halted = { generation: 2, halted: true };
  assert.deepEqual(turn(fleetOf([worker(1, 0), worker(2, 1, { generation: 2 })], halted)), ['lead worker 2']);
  // Better than nobody.
  assert.deepEqual(turn(fleetOf([spent(worker(1, 0), now, 'requests')])), ['lead worker 1']);
});

test('core: LEAD-01 a canary does not lead before it is in force', () => {
  const reload: Fleet['reload'] = {
    state: 'canary',
    reload: 1,
    since: now,
    rollback: null,
    order: 'roll',
    stage: { name: 'boot' },
    generation: 2,
    policy: { ...policy, minReady: 60_000 },
  };
  const canary = worker(9, 0, { generation: 2, phase: { name: 'ready', since: now } });
  assert.deepEqual(turn(fleetOf([worker(1, 0, { candidate: false }), canary], { reload })), []);
});

test('core: LEAD-02 the right is asked for once, and a claim that was given up is not granted', () => {
  const free: Leadership = { ...held, right: 'none', claims: 4 };
  const first = decide(fleetOf([worker(1, 0)], { leadership: free }), now);
  assert.deepEqual(first.actions.filter(({ type }) => type === 'claimLead').map(renderAction), ['claimLead claim=5']);
  assert.deepEqual(turn(first.fleet), []);
  assert.deepEqual(turn(first.fleet, { type: 'leadClaimed', claim: 4 }), []);
  assert.deepEqual(turn(first.fleet, { type: 'leadClaimed', claim: 5 }), ['lead worker 1']);
});

test('core: LEAD-01 what others say, or one that does not lead, ends nobody’s work', () => {
  const leading = fleetOf([worker(1, 0), worker(2, 1)], { leadership: { ...held, leader: { id: 1, since: 500 } } });
  assert.deepEqual(turn(leading, { type: 'workerResigned', id: 2, reason: null, jitter: 0 }), []);
  assert.deepEqual(turn(leading, { type: 'workerResigned', id: 1, reason: null, jitter: 0 }), ['lead worker 2']);
});

test('core: LEAD-06 a leader that is gone soon counts as work that failed; one that has led for long does not', () => {
  const gone: Event = { type: 'workerExited', id: 1, code: 1, signal: null, jitter: 0.5 };
  const since = (at: number) =>
    fleetOf([worker(1, 0), worker(2, 1)], { leadership: { ...held, leader: { id: 1, since: at } } });
  assert.deepEqual(turn(since(now - 500), gone), []);
  assert.deepEqual(turn(since(now - 5_000), gone), ['lead worker 2']);
});
