/** The core's promises over random histories, watched turn by turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { observe } from '../../../src/core/observe.ts';
import { factAbout, holds, turmoil } from '../../support/core/histories.ts';
import {
  atomicity,
  clients,
  crowds,
  deadlines,
  fates,
  idempotence,
  leadership,
  migrations,
  monotony,
  queues,
  refusals,
  sizes,
  spareWorkers,
  spawns,
  strength,
  survival,
  transactions,
  vacancies,
  verification,
  type Watcher,
} from '../../support/core/watch.ts';

/** @param make a watcher for one history */
function always(title: string, make: () => Watcher): void {
  test(`core: ${title}`, () => holds((_history, play) => play(make()).runUntil(turmoil + 3_000)));
}

always('decide is idempotent, and wakes in the future', () => idempotence);
always('invariant 1: nothing the master chooses takes the workers that serve below the wanted number', () => strength);
always('invariant 2: a worker that boots and listens already is drained, not killed', () => clients);
always('RLD-03 every spawn has its reason, and stays within maxSurge and maxBooting', () => spawns);
always('RLD-09 a vacancy is filled at once, or there is a time at which it will be', () => vacancies);
always('HB-01 no deadline passes unseen', () => deadlines);
always('a worker that is told to leave, or is killed, is gone in bounded time', () =>
  fates({ graceful: 4_000, slack: 150 }),
);
always('RLD-07 workers on their way out are capped', () => crowds);
always('ids are unique, generations grow by one, counters never shrink, no worker comes back', () => monotony());
always(
  'SPARE-05 spares: no more than configured, of the generation in force, and none waits while a place is free',
  () => spareWorkers,
);
always('LEAD-01 at most one worker leads, and if one could, one does', () => leadership);
always('every queue has an acceptor as long as any worker is ready', () => queues);
always('MIG-01 connections are given away if and only if somebody takes them', () => migrations);
always('a reload is a transaction: prepare, then reject, or promote and one verdict', () => transactions());
always('VFY-01 a canary that is to be verified has no clients before, and is in force only after', () =>
  verification(),
);
always('a reload that is refused is rejected at once, and once', () => refusals);
always('invariant 3: a rejected reload changes nothing', () => atomicity());
always('AUTO-01 AUTO-02 the pool follows its load within its range and its memory', () => sizes);
always('BAD-02 no exit of a worker ends a master that was up', () => survival);

test('core: facts about workers that are gone, or never were, change nothing', () => {
  const unknown = 10_000;
  const facts = fc.sample(factAbout(unknown), { numRuns: 200, seed: 1 });
  holds((_history, play) => {
    const sim = play();
    sim.runUntil(turmoil);
    for (const event of facts) {
      assert.deepEqual(observe(sim.fleet, event, sim.now), sim.fleet, event.type);
    }
  });
});

test('core: the core does not wake for nothing', () => {
  holds((_history, play) => {
    let idle = 0;
    const sim = play(({ events, actions, before, after }) => {
      if (events.every(({ type }) => type === 'ticked') && actions.length === 0 && before === after) idle += 1;
    });
    sim.runUntil(turmoil + 3_000);
    assert.ok(idle <= 30, `${idle} turns for nothing`);
  });
});
