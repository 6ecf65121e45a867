/** A request for a reload or an upgrade is answered with its own outcome. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fleet, initialFleet, type ReloadOutcome, type UpgradeOutcome } from '../../../src/core/model.ts';
import { Outcomes, UpgradeOutcomes } from '../../../src/master/outcomes.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const fleet = initialFleet(defaultPolicy);
const reloadOutcome = (reload: number): ReloadOutcome => ({
  verdict: 'completed',
  reload,
  generation: 2,
  reason: null,
  duration: 1,
});
const upgradeOutcome = (upgrade: number): UpgradeOutcome => ({
  verdict: 'completed',
  upgrade,
  pid: 9,
  reason: null,
  duration: 1,
});
const stopping: Fleet['stopping'] = { kind: 'graceful', deadline: 9, listening: true, acceptUntil: 0, status: 0 };

/** What a promise has settled with by now; `undefined` while it is open. */
async function now<T>(promise: Promise<T>): Promise<T | undefined> {
  return await Promise.race([promise, Promise.resolve(undefined)]);
}

test('a reload asked for during another one is answered with the next outcome, not with the first', async () => {
  const outcomes = new Outcomes(() => 7);
  const during: Fleet = {
    ...fleet,
    reloads: 1,
    reload: { state: 'preparing', reload: 1, since: 0, rollback: null, order: 'roll' },
  };
  const asked = outcomes.ofNext(during);
  outcomes.onTurn({ ...fleet, reloads: 1, lastReload: reloadOutcome(1) });
  assert.equal(await now(asked), undefined);
  outcomes.onTurn({ ...fleet, reloads: 2, lastReload: reloadOutcome(2) });
  assert.deepEqual(await now(asked), reloadOutcome(2));
});

test('a reload that is held is answered at once, and its promotion with its end', async () => {
  const outcomes = new Outcomes(() => 7);
  const asked = outcomes.ofNext(fleet);
  const canary = { state: 'canary', reload: 1, since: 2, rollback: null, order: 'hold', generation: 2 } as const;
  const out: Fleet = {
    ...fleet,
    reloads: 1,
    reload: { ...canary, policy: defaultPolicy, stage: { name: 'boot' } },
  };
  outcomes.onTurn(out);
  assert.equal(await now(asked), undefined);
  const held: Fleet = { ...out, reload: { ...canary, policy: defaultPolicy, stage: { name: 'held', since: 6 } } };
  const promotion = outcomes.ofCurrent(held);
  outcomes.onTurn(held);
  assert.deepEqual(await now(asked), { verdict: 'held', reload: 1, generation: 1, reason: null, duration: 5 });
  assert.equal(await now(promotion), undefined);
  outcomes.onTurn({ ...fleet, reloads: 1, lastReload: reloadOutcome(1) });
  assert.deepEqual(await now(promotion), reloadOutcome(1));
});

test('a reload that never begins because the service stops has no outcome', async () => {
  const outcomes = new Outcomes(() => 7);
  const asked = outcomes.ofNext(fleet);
  outcomes.onTurn({
    ...fleet,
    reload: { state: 'preparing', reload: 1, since: 0, rollback: null, order: 'roll' },
    stopping,
  });
  assert.equal(await now(asked), undefined);
  outcomes.onTurn({ ...fleet, stopping });
  assert.equal(await now(asked), null);
});

test('an upgrade is answered with its outcome; one that is refused, or that the master does not live to see, with none', async () => {
  const outcomes = new UpgradeOutcomes();
  const asked = outcomes.ofNext(fleet);
  outcomes.onTurn({ ...fleet, upgrades: 1 });
  assert.equal(await now(asked), undefined);
  outcomes.onTurn({ ...fleet, upgrades: 1, lastUpgrade: upgradeOutcome(1) });
  assert.deepEqual(await now(asked), upgradeOutcome(1));
  const refused = outcomes.ofNext({ ...fleet, upgrades: 1 });
  outcomes.onTurn({ ...fleet, upgrades: 1 });
  assert.equal(await now(refused), null);
  const orphaned = outcomes.ofNext({ ...fleet, upgrades: 1 });
  outcomes.onTurn({ ...fleet, upgrades: 2, exited: true });
  assert.equal(await now(orphaned), null);
});
