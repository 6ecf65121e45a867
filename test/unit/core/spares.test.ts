/** Which spare takes a place, and which may not: turns that histories seldom meet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../../src/core/decide.ts';
import type { Event } from '../../../src/core/events.ts';
import { fixed } from '../../../src/core/fixed.ts';
import { spent, withChanged } from '../../../src/core/fleet.ts';
import { type Fleet, initialFleet, newWorker, type SpareWorker, type Worker } from '../../../src/core/model.ts';
import { observe } from '../../../src/core/observe.ts';
import { renderAction } from '../../support/core/render.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const now = 10_000;
// Where connections go is told elsewhere.
const policy = { ...defaultPolicy, workers: 2, spares: 1, migration: false };
const worker = (id: number, slot: number, generation = 1): Worker => ({
  ...newWorker({ id, slot, generation }, 0),
  phase: { name: 'ready', since: 100 },
  beatAt: now,
  listening: true,
  queues: [0],
});
const spare = (id: number, change: Partial<SpareWorker> = {}): SpareWorker => ({
  ...newWorker({ id, slot: 0, generation: 1 }, 0),
  phase: { name: 'spare', since: 100 },
  beatAt: now,
  ...change,
  slot: null,
});
const fleetOf = (workers: readonly Worker[], change: Partial<Fleet> = {}): Fleet => ({
  ...initialFleet(policy),
  start: 'complete',
  workers,
  nextWorkerId: 20,
  ...change,
});
const killed: Event = { type: 'workerExited', id: 2, code: null, signal: 'SIGKILL', jitter: 0.5 };

/** What is done about these facts, in one turn. */
function turn(fleet: Fleet, ...events: readonly Event[]): readonly string[] {
  const seen = events.reduce((before, event) => observe(before, event, now), fleet);
  return decide(seen, now)
    .actions.filter(({ type }) => type !== 'assign')
    .map(renderAction);
}

test('SPARE-01 core: a death is known, and the spare is placed, in one turn; boots under way do not delay it', () => {
  const booting = { ...newWorker({ id: 3, slot: 2, generation: 1 }, now), queues: [0] };
  const busy = fleetOf([worker(1, 0), worker(2, 1), booting, spare(9)], {
    wanted: 3,
    policy: { ...policy, maxBooting: 1 },
  });
  assert.deepEqual(turn(busy, killed), ['place worker 9 slot=1 reason=gone']);
});

test('SPARE-03 core: a spare of the old generation takes no place in the turn in which the new one comes in force', () => {
  const canary: Worker = { ...newWorker({ id: 5, slot: 0, generation: 2 }, 0), queues: [0] };
  const reload = {
    state: 'canary',
    reload: 1,
    since: 0,
    rollback: null,
    order: 'roll',
    generation: 2,
    policy,
    stage: { name: 'boot' },
  } as const;
  const before = fleetOf([worker(1, 0), worker(2, 1), spare(9), canary], { reload, reloads: 1 });
  assert.deepEqual(turn(before, killed, { type: 'workerReadied', id: 5 }), [
    'promote reload=1 generation=2',
    'spawn worker 20 slot=1 generation=2',
    'drain worker 9 reason=reload within=30000',
  ]);
});

test('SPARE-01 core: one that is unwell, silent, spent or hostile is passed over', () => {
  const unfit = [
    spare(9, { hindrance: 'health check "db" fails' }),
    spare(9, { beatAt: now - fixed.spareSilence - 1 }),
    spent(spare(9), 0, 'lifetime'),
    spare(9, { phase: { name: 'booting', since: now } }),
  ];
  for (const each of unfit) {
    const actions = turn(fleetOf([worker(1, 0), worker(2, 1), each]), killed);
    assert.deepEqual(actions, ['spawn worker 20 slot=1 generation=1']);
    assert.ok(turn(fleetOf([worker(1, 0), worker(2, 1), each, spare(10)]), killed)[0]?.startsWith('place worker 10'));
  }
});

test('SPARE-12 core: a spare does not serve, whatever it says', () => {
  const before = fleetOf([worker(1, 0), worker(2, 1), spare(9)]);
  for (const type of ['workerReadied', 'workerListened', 'workerBooted'] as const)
    assert.deepEqual(observe(before, { type, id: 9 }, now), before, type);
  // Nor does a worker become a spare.
  assert.deepEqual(observe(before, { type: 'workerBooted', id: 1 }, now), before);
});

test('SPARE-05 core: spares that are spent are replaced one at a time, new before old', () => {
  const all = fleetOf([worker(1, 0), worker(2, 1), spent(spare(8), 0, 'memory'), spent(spare(9), 0, 'memory')], {
    policy: { ...policy, spares: 2 },
  });
  assert.deepEqual(turn(all), ['spawn worker 20 generation=1']);
  const { fleet } = decide(all, now);
  const next = withChanged(fleet, spare(20));
  assert.deepEqual(turn(next), ['drain worker 8 reason=memory within=30000', 'spawn worker 21 generation=1']);
});

test('SPARE-08 core: a slot that fails again and again waits for its time, with a spare as without', () => {
  const slots = (failures: number) => new Map([[1, { failures, notBefore: now + 500, restarts: 3 }]]);
  const vacant = (failures: number) => fleetOf([worker(1, 0), spare(9)], { slots: slots(failures) });
  assert.deepEqual(turn(vacant(1)), ['place worker 9 slot=1 reason=gone']);
  assert.deepEqual(turn(vacant(2)), []);
  assert.equal(decide(vacant(2), now).wakeAt, now + 500);
});

test('SPARE-05 core: what becomes of a spare counts against no slot, no generation, and not maxBootFailures', () => {
  const probation = { generation: 1, until: now + 1_000, crashes: 0, worse: null };
  const before = fleetOf([worker(1, 0), worker(2, 1), spare(9, { phase: { name: 'booting', since: now } })], {
    probation,
  });
  const after = observe(before, { type: 'workerExited', id: 9, code: 1, signal: null, jitter: 0.5 }, now);
  assert.deepEqual([after.probation, after.bootFailures, after.slots], [probation, before.bootFailures, before.slots]);
  assert.deepEqual(after.spareBoots, { failures: 1, notBefore: now + 100 });
});

test('SPARE-08 core: the crash of a spare that was placed counts as any worker’s', () => {
  const probation = { generation: 1, until: now + 1_000, crashes: 0, worse: null };
  const placed = decide(fleetOf([worker(1, 0), spare(9)], { probation }), now).fleet;
  const ready = observe(placed, { type: 'workerReadied', id: 9 }, now + 1);
  const after = observe(ready, { type: 'workerExited', id: 9, code: 1, signal: null, jitter: 0.5 }, now + 50);
  assert.equal(after.probation?.crashes, 1);
  assert.deepEqual(after.slots.get(1), { failures: 1, notBefore: now + 150, restarts: 1 });
});
