/** The invariants of the core over random histories: random policies, processes that misbehave, facts in any order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Action } from '../../src/core/actions.ts';
import { decide } from '../../src/core/decide.ts';
import type { Event } from '../../src/core/events.ts';
import type { Fleet, Policy } from '../../src/core/model.ts';
import { type Behaviour, Simulator, wellBehaved } from '../support/core/simulator.ts';

const numRuns = Number(process.env.PREFORK_PROPERTY_RUNS ?? 150);

const policy: fc.Arbitrary<Partial<Policy>> = fc.record({
  workers: fc.integer({ min: 1, max: 5 }),
  maxSurge: fc.integer({ min: 1, max: 3 }),
  maxBooting: fc.integer({ min: 1, max: 3 }),
  bootTimeout: fc.constantFrom(1_000, 5_000),
  timeout: fc.constantFrom(0, 2_000),
  blockedWarning: fc.constantFrom(0, 1_500),
  gracefulTimeout: fc.constantFrom(1_000, 4_000),
  minReady: fc.constantFrom(0, 500),
  progressDeadline: fc.constantFrom(5_000, 600_000),
  rollbackWindow: fc.constantFrom(0, 5_000),
});

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  boot: fc.constantFrom<number | null>(20, 100, 100, 800, null),
  failsWith: fc.constantFrom<number | null>(null, null, null, 1),
  forkFails: fc.constantFrom(false, false, false, false, true),
  drain: fc.constantFrom<number | null>(10, 100, 500, null),
  diesAfter: fc.constantFrom<number | null>(null, null, null, 30, 3_000),
  beats: fc.constantFrom(true, true, true, false),
  limits: fc.record({
    requests: fc.constant(null),
    lifetime: fc.constantFrom<number | null>(null, null, 2_000),
  }),
});

const id = fc.integer({ min: 0, max: 25 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Event>({ type: 'reloadRequested' }) },
  { weight: 2, arbitrary: fc.constantFrom<Event>({ type: 'scaled', by: 1 }, { type: 'scaled', by: -1 }) },
  { weight: 1, arbitrary: fc.constant<Event>({ type: 'dismissed' }) },
  { weight: 1, arbitrary: fc.constant<Event>({ type: 'recycleRequested', slot: null }) },
  { weight: 2, arbitrary: id.map((worker): Event => ({ type: 'asked', id: worker })) },
  { weight: 1, arbitrary: id.map((worker): Event => ({ type: 'readied', id: worker })) },
  { weight: 1, arbitrary: id.map((worker): Event => ({ type: 'failed', id: worker, kind: 'boot', reason: 'x' })) },
  { weight: 1, arbitrary: id.map((worker): Event => ({ type: 'captured', id: worker })) },
  { weight: 1, arbitrary: fc.constant<Event>({ type: 'prepareFailed', reload: 1, reason: 'late' }) },
);

const history = fc.record({
  policy,
  queueCount: fc.integer({ min: 1, max: 4 }),
  behaviours: fc.array(behaviour, { minLength: 30, maxLength: 30 }),
  prepares: fc.array(fc.constantFrom<Partial<Policy> | string>({}, {}, { workers: 2 }, { workers: 4 }, 'broken'), {
    minLength: 10,
    maxLength: 10,
  }),
  facts: fc.array(fc.record({ at: fc.integer({ min: 0, max: 12_000 }), event }), { maxLength: 12 }),
  kills: fc.array(fc.record({ at: fc.integer({ min: 0, max: 12_000 }), id }), { maxLength: 4 }),
});

type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

function play(given: History, check: (actions: readonly Action[], before: Fleet, sim: Simulator) => void): Simulator {
  const sim = new Simulator({
    policy: given.policy,
    queueCount: given.queueCount,
    // Past the random ones everybody is well-behaved, so that every history can settle.
    behaviour: (worker) => given.behaviours[worker - 1] ?? wellBehaved,
    prepare: (reload) => given.prepares[reload - 1] ?? {},
    onActions: check,
  });
  sim.at(0, () => sim.post({ type: 'ticked' }));
  for (const fact of given.facts) sim.at(fact.at, () => sim.post(fact.event));
  for (const kill of given.kills) sim.at(kill.at, () => sim.exit(kill.id, null, 'SIGKILL'));
  return sim;
}

const ready = (fleet: Fleet) => fleet.workers.filter(({ phase }) => phase.name === 'ready').length;
const live = (fleet: Fleet) => fleet.workers.filter(({ phase }) => phase.name === 'ready' || phase.name === 'booting');
const isWanted = (fleet: Fleet) => (fleet.dormant || fleet.stopping !== null ? 0 : fleet.wanted);

function property(title: string, check: (given: History) => void): void {
  test(`core: ${title}`, () => {
    fc.assert(fc.property(history, check), { numRuns });
  });
}

property('decide is idempotent, and wakes in the future', (given) => {
  const sim = play(given, (_actions, _before, at) => {
    const again = decide(at.fleet, at.now);
    assert.deepEqual(again.actions, []);
    assert.deepEqual(again.fleet, at.fleet);
    if (at.wakeAt !== null) assert.ok(at.wakeAt > at.now, `wakes at ${at.wakeAt}, now is ${at.now}`);
  });
  sim.runUntil(15_000);
});

property('invariant 1: nothing the master chooses takes the ready workers below the wanted number', (given) => {
  const sim = play(given, (actions, before, at) => {
    for (const action of actions) {
      if (action.type !== 'drain' || action.reason === 'shutdown') continue;
      const drained = before.workers.find((worker) => worker.id === action.id);
      if (drained !== undefined && drained.phase.name !== 'ready') continue;
      // A canary of a rejected reload is extra, whatever the others do.
      if (drained !== undefined && drained.generation > at.fleet.generation) continue;
      assert.ok(
        ready(at.fleet) >= isWanted(at.fleet),
        `${ready(at.fleet)} ready of ${isWanted(at.fleet)} after ${JSON.stringify(action)}`,
      );
    }
  });
  sim.runUntil(15_000);
});

property(
  'live workers never exceed wanted + maxSurge where nothing is scaled down, unready boots never maxBooting + 1',
  (given) => {
    const sim = play(given, (actions, _before, at) => {
      if (!actions.some(({ type }) => type === 'spawn')) return;
      const { policy: now, slots: _slots } = at.fleet;
      const inSlots = live(at.fleet).filter(({ slot }) => slot < isWanted(at.fleet));
      const canary = at.fleet.reload.state === 'canary' ? 1 : 0;
      const surge = Math.max(now.maxSurge, given.policy.maxSurge ?? 1);
      assert.ok(
        inSlots.length <= isWanted(at.fleet) + surge + canary,
        `${inSlots.length} live of ${isWanted(at.fleet)}`,
      );
      const booting = at.fleet.workers.filter(({ phase }) => phase.name === 'booting').length;
      assert.ok(booting <= now.maxBooting + 1, `${booting} boot`);
    });
    sim.runUntil(15_000);
  },
);

property('ids are unique, generations grow by one per accepted reload, restarts never shrink', (given) => {
  const seen = new Set<number>();
  let generation = 1;
  const restarts = new Map<number, number>();
  const sim = play(given, (actions, _before, at) => {
    for (const action of actions) {
      if (action.type === 'spawn') {
        assert.ok(!seen.has(action.id));
        seen.add(action.id);
      }
      if (action.type === 'promote') {
        assert.equal(action.generation, generation + 1);
        generation = action.generation;
      }
    }
    for (const [slot, state] of at.fleet.slots) {
      assert.ok(state.restarts >= (restarts.get(slot) ?? 0));
      restarts.set(slot, state.restarts);
    }
  });
  sim.runUntil(15_000);
});

property('invariant 3: a rejected reload leaves every worker of the generation in force where it was', (given) => {
  const sim = play(given, (actions, before, at) => {
    if (!actions.some(({ type }) => type === 'reject') || before.stopping !== null) return;
    const drained = actions.filter((action) => action.type === 'drain');
    for (const action of drained) {
      const worker = before.workers.find((other) => other.id === action.id);
      assert.ok(
        worker === undefined ||
          worker.generation > before.generation ||
          worker.slot >= isWanted(at.fleet) ||
          action.reason !== 'reload',
      );
    }
    assert.equal(at.fleet.generation, before.generation);
    assert.equal(at.fleet.wanted, before.wanted);
  });
  sim.runUntil(15_000);
});

property('after a stop nobody is started, and everybody is gone in bounded time', (given) => {
  let stopped = false;
  const sim = play(given, (actions) => {
    if (stopped) assert.ok(!actions.some(({ type }) => type === 'spawn' || type === 'prepare'));
  });
  sim.runUntil(6_000);
  if (sim.fleet.exited) return;
  stopped = true;
  sim.post({ type: 'stopRequested', kind: 'graceful' });
  sim.runUntil(6_000 + 4_000 + 3_000 + 5_000);
  assert.deepEqual(sim.fleet.workers, []);
  assert.ok(sim.fleet.exited);
  assert.equal(sim.trace.filter(({ action }) => action.type === 'exit').length, 1);
});

property(
  'every history settles: the wanted number is ready, of the generation in force, and nothing is pending',
  (given) => {
    const sim = play(given, () => {});
    sim.runUntil(15_000);
    if (sim.fleet.exited) return;
    // Whoever misbehaves by design leaves; from here on only the well-behaved come.
    for (let round = 0; round < 40; round += 1) {
      for (const { id: worker } of [...sim.fleet.workers])
        if (worker <= given.behaviours.length) sim.exit(worker, null, 'SIGKILL');
      sim.runUntil(sim.now + 5_000);
    }
    sim.runUntil(sim.now + 60_000);
    if (sim.fleet.exited) return;
    const { fleet } = sim;
    assert.equal(ready(fleet), isWanted(fleet));
    assert.equal(fleet.workers.length, isWanted(fleet));
    assert.equal(fleet.reload.state, 'idle');
    assert.equal(fleet.reloadPending, false);
    if (!fleet.halted) assert.ok(fleet.workers.every((worker) => worker.generation === fleet.generation));
  },
);

property('every queue has an acceptor as long as anybody is ready', (given) => {
  const sim = play(given, (_actions, _before, at) => {
    const accepting = live(at.fleet).filter(({ phase }) => phase.name === 'ready');
    if (accepting.length === 0) return;
    for (let queue = 0; queue < at.fleet.queueCount; queue += 1) {
      assert.ok(
        accepting.some(({ queues }) => queues.includes(queue)),
        `nobody accepts from queue ${queue}`,
      );
    }
  });
  sim.runUntil(15_000);
});
