/** Random histories of upgrades: two masters in one world, and orders to whom the pidfile names, at any moment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../../src/core/events.ts';
import { target } from '../../../src/core/fleet.ts';
import { messageOf } from '../../../src/errors.ts';
import { type Fate, MastersWorld } from '../../support/core/masters.ts';
import { serving } from '../../support/core/watch.ts';

const numRuns = 5 * Number(process.env.PREFORK_PROPERTY_RUNS ?? 80);

/** Milliseconds in which orders come, and after which everything has settled. */
const turmoil = 6_000;
const settled = 60_000;
/** The longest drain, drainDelay and what messages take. */
const longestStop = 3_000 + 500 + 1_000;

const hup: Event = { type: 'reloadRequested' };
const harmless: readonly Event[] = [
  { type: 'scaleRequested', by: 1 },
  { type: 'scaleRequested', by: -1 },
  { type: 'reopenRequested' },
  { type: 'upgradeRequested' },
  { type: 'recycleRequested', slot: null },
];
const stop: readonly Event[] = [
  { type: 'stopRequested', kind: 'graceful' },
  { type: 'stopRequested', kind: 'graceful' },
  { type: 'stopRequested', kind: 'quick' },
];

/** At random, and often close to where the masters change places: the first upgrade is asked for at one second. */
const moment = fc.oneof(
  fc.integer({ min: 500, max: turmoil }),
  fc.integer({ min: 1_000, max: 1_800 }),
  fc.integer({ min: 1_050, max: 1_250 }),
);

function orders(events: readonly Event[], maxLength: number) {
  return fc.array(
    fc.record({ at: moment, event: fc.constantFrom(...events), flight: fc.constantFrom(0, 0, 1, 5, 20) }),
    { maxLength },
  );
}

const world = fc.record({
  policy: fc.record({
    workers: fc.integer({ min: 1, max: 3 }),
    spares: fc.constantFrom(0, 0, 1),
    minReady: fc.constantFrom(0, 0, 200),
    gracefulTimeout: fc.constantFrom(4_000, 20_000),
    upgradeTimeout: fc.constantFrom(300, 2_000),
    drainDelay: fc.constantFrom(0, 0, 500),
  }),
  delays: fc.array(fc.constantFrom(0, 0, 1, 3, 20, 90), { minLength: 1, maxLength: 6 }),
  claimTime: fc.constantFrom(0, 1, 10, 60),
  prepareTime: fc.constantFrom(1, 10, 300),
  behaviour: fc.record({
    boot: fc.constantFrom(20, 100),
    drain: fc.constantFrom(1, 50, 900, 3_000),
    couldLead: fc.constantFrom(null, 0, 60, 300),
    resigns: fc.constantFrom(0, 20, 400, null),
    leadFails: fc.constantFrom(null, null, null, 200, 2_500),
  }),
  fates: fc.array(fc.constantFrom<Fate>('boots', 'boots', 'boots', 'boots', 'hangs', 50, 160, 400, 2_000), {
    maxLength: 4,
  }),
});

type Orders = ReturnType<typeof orders> extends fc.Arbitrary<infer T> ? T : never;
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

/** Tries a promise; a failure tells the smallest story that breaks it. */
function holds(given: fc.Arbitrary<Orders>, check: (masters: MastersWorld) => void): void {
  const run = (options: World, all: Orders): MastersWorld => {
    const masters = new MastersWorld(options);
    masters.at(1_000, () => masters.order({ type: 'upgradeRequested' }, 0));
    for (const { at, event, flight } of all) masters.at(at, () => masters.order(event, flight));
    masters.runUntil(settled);
    return masters;
  };
  const details = fc.check(
    fc.property(world, given, (options, all) => check(run(options, all))),
    { numRuns },
  );
  if (!details.failed) return;
  const [options, all] = details.counterexample ?? [];
  const story = options === undefined || all === undefined ? [] : run(options, all).story;
  throw new Error(
    `${messageOf(details.errorInstance)}\nseed ${details.seed}, path "${details.counterexamplePath}"\n${JSON.stringify([options, all])}\n${story.slice(0, 120).join('\n')}`,
  );
}

function assertOne(masters: MastersWorld): void {
  const { alive, pidfile, orders: given } = masters;
  assert.equal(alive.length, 1, `${alive.length} masters`);
  const [master] = alive;
  assert.ok(master !== undefined);
  assert.equal(pidfile, master.pid, 'the pidfile names it');
  const { fleet } = master.sim;
  assert.equal(fleet.stopping, null);
  assert.equal(fleet.predecessor, 'none');
  assert.equal(fleet.upgrade.state, 'none');
  assert.equal(fleet.reload.state, 'idle');
  assert.equal(fleet.reloadPending, false);
  assert.ok(target(fleet) > 0);
  assert.equal(serving(fleet), target(fleet));
  // A reload is done by whoever reads the configuration after it was asked for.
  for (const { at, event } of given)
    if (event.type === 'reloadRequested') assert.ok(master.readAt >= at, `the reload of ${at} is lost`);
}

test('core: UPG-06 whatever is ordered at any moment of an upgrade: one master at the end, and no reload is lost', () => {
  holds(orders([hup, hup, hup, ...harmless], 8), assertOne);
});

test('core: UPG-06 an order to stop at any moment of an upgrade stops the service: no master is left, all exit with 0', () => {
  const given = fc
    .tuple(orders([hup, ...harmless], 5), orders(stop, 3), moment, fc.constantFrom(...stop), fc.constantFrom(0, 5, 20))
    .map(([some, stops, at, event, flight]) => [...some, ...stops, { at, event, flight }]);
  holds(given, (masters) => {
    if (!masters.orders.some(({ event }) => event.type === 'stopRequested')) return assertOne(masters);
    assert.deepEqual(
      masters.alive.map(({ pid }) => pid),
      [],
      'masters that are left',
    );
    for (const { status, pid } of masters.masters)
      assert.ok(status === 0 || (pid > 1 && status === 1), `${pid} exits with ${status}`);
    assert.equal(masters.pidfile, null);
    const asked = masters.orders.find(({ event }) => event.type === 'stopRequested')?.at ?? 0;
    const took = Math.max(...masters.masters.map(({ goneAt }) => goneAt ?? Number.POSITIVE_INFINITY)) - asked;
    // Both drain at the same time: neither waits for the other one, and then drains.
    assert.ok(took <= longestStop, `a stop takes ${took} ms`);
  });
});

test('core: UPG-03 what is done by hand with WINCH waits for the operator, and ends with one master when that one says so', () => {
  const winch: Event = { type: 'poolDismissed' };
  holds(orders([winch, hup, ...harmless], 6), (masters) => {
    for (let last = 0; masters.alive.length > 1 && last < 3; last += 1) {
      const [old] = masters.alive;
      assert.ok(old !== undefined && masters.alive.length === 2);
      assert.ok(old.sim.fleet.upgrade.state === 'ready' && old.sim.fleet.upgrade.byHand, 'an operator has it in hand');
      old.sim.runUntil(masters.now);
      old.sim.post({ type: 'stopRequested', kind: 'graceful' });
      masters.runUntil(masters.now + settled);
    }
    assert.equal(masters.alive.length, 1);
    assert.equal(masters.pidfile, masters.alive[0]?.pid);
  });
});

test('core: LEAD-02 two masters have one leader between them, whatever is ordered and whichever of them is killed', () => {
  const winch: Event = { type: 'poolDismissed' };
  const given = fc.tuple(
    orders([winch, hup, ...harmless], 6),
    fc.option(fc.record({ at: moment, pid: fc.constantFrom(1, 2, 3) }), { nil: null }),
  );
  const run = (options: World, [all, kill]: readonly [Orders, { at: number; pid: number } | null]): MastersWorld => {
    const masters = new MastersWorld(options);
    masters.at(1_000, () => masters.order({ type: 'upgradeRequested' }, 0));
    for (const { at, event, flight } of all) masters.at(at, () => masters.order(event, flight));
    if (kill !== null) masters.at(kill.at, () => masters.kill(kill.pid));
    masters.runUntil(settled);
    return masters;
  };
  const details = fc.check(
    fc.property(world, given, (options, all) => {
      // That no two lead at a time is what the world looks at when one is told to.
      const masters = run(options, all);
      const { couldLead, leadFails } = options.behaviour;
      if (couldLead === null) return assert.deepEqual(masters.leaders(), []);
      if (leadFails === null && masters.alive.some(({ sim }) => serving(sim.fleet) > 0))
        assert.equal(masters.leaders().length, 1, 'one leads when all has settled');
    }),
    { numRuns },
  );
  if (!details.failed) return;
  const message = `${messageOf(details.errorInstance)}\nseed ${details.seed}, path "${details.counterexamplePath}"`;
  throw new Error(`${message}\n${JSON.stringify(details.counterexample)}`, { cause: details.errorInstance });
});
