/** The words in which the rules are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../../src/core/fixed.ts';
import {
  drainingGenerations,
  findWorker,
  isCandidate,
  isLive,
  isReady,
  isStale,
  leaving,
  policyOf,
  readyCount,
  replaceReason,
  servingCount,
  slotOf,
  surge,
  target,
  wasUnstable,
  withSlot,
  withWorker,
} from '../../../src/core/fleet.ts';
import { type Fleet, initialFleet, newWorker, type SeatedWorker, type Worker } from '../../../src/core/model.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

type Phase = SeatedWorker['phase'];

const booting: Phase = { name: 'booting', since: 0 };
const ready: Phase = { name: 'ready', since: 0 };
const draining: Phase = {
  name: 'draining',
  since: 0,
  deadline: 1,
  reason: 'scale',
  quick: false,
  awaited: false,
  accepts: true,
};
const killed: Phase = { name: 'killed', since: 0, reason: 'stuck', signal: 'SIGABRT' };

function worker(change: Partial<SeatedWorker> & { readonly id: number }): SeatedWorker {
  return { ...newWorker({ slot: 0, generation: 1, id: change.id }, 0), phase: ready, ...change };
}

function fleet(workers: readonly Worker[], change: Partial<Fleet> = {}): Fleet {
  return { ...initialFleet(defaultPolicy), workers, ...change };
}

test('core: phases: what is live, what is ready', () => {
  const phases = [booting, ready, draining, killed].map((phase) => worker({ id: 1, phase }));
  assert.deepEqual(phases.map(isLive), [true, true, false, false]);
  assert.deepEqual(phases.map(isReady), [false, true, false, false]);
});

test('core: generations: stale, in force, candidate; after a halt no worker is stale', () => {
  const [old, now, next] = [1, 2, 3].map((generation) => worker({ id: generation, generation }));
  assert.ok(old !== undefined && now !== undefined && next !== undefined);
  const all = fleet([old, now, next], { generation: 2 });
  assert.deepEqual(
    all.workers.map((each) => isStale(all, each)),
    [true, false, false],
  );
  assert.deepEqual(
    all.workers.map((each) => isCandidate(all, each)),
    [false, false, true],
  );
  assert.equal(isStale({ ...all, halted: true }, old), false);
  assert.equal(readyCount(all), 3);
  assert.equal(servingCount(all), 2);
});

test('core: a worker is replaced for its generation first, then for reasons of its own, each from its time on', () => {
  const spent = worker({ id: 1, spent: { reason: 'signal', from: 500 }, limits: { requests: null, lifetime: 900 } });
  const at = (now: number, generation = 1) => replaceReason(fleet([spent], { generation }), spent, now);
  assert.equal(at(499), null);
  assert.equal(at(500), 'signal');
  assert.equal(at(500, 2), 'reload');
  const aged = worker({ id: 1, bornAt: 100, limits: { requests: null, lifetime: 900 } });
  assert.equal(replaceReason(fleet([aged]), aged, 999), null);
  assert.equal(replaceReason(fleet([aged]), aged, 1_000), 'lifetime');
});

test('core: the target is zero while dormant or stopping', () => {
  assert.equal(target(fleet([])), 3);
  assert.equal(target(fleet([], { dormant: true })), 0);
  const stopping = { kind: 'graceful', deadline: 1, listening: true, acceptUntil: 0, status: 0 } as const;
  assert.equal(target(fleet([], { stopping })), 0);
});

test('core: surge counts those beyond one per slot; leaving those on their way out of one', () => {
  const all = fleet([
    worker({ id: 1 }),
    worker({ id: 2, phase: booting }),
    worker({ id: 3, slot: 1 }),
    worker({ id: 4, slot: 1, phase: draining }),
    worker({ id: 5, slot: 1, phase: killed }),
  ]);
  assert.equal(surge(all), 1);
  assert.equal(leaving(all, 0), 0);
  assert.equal(leaving(all, 1), 2);
});

test('core: draining generations are older ones with workers on their way out', () => {
  const all = fleet(
    [
      worker({ id: 1, generation: 1, phase: draining }),
      worker({ id: 2, generation: 1, phase: draining }),
      worker({ id: 3, generation: 2, phase: killed }),
      worker({ id: 4, generation: 3 }),
      worker({ id: 5, generation: 4, phase: draining }),
    ],
    { generation: 4 },
  );
  assert.equal(drainingGenerations(all), 2);
});

test('core: a canary is held to its own policy, all others to the one in force', () => {
  const policy = { ...defaultPolicy, bootTimeout: 7 };
  const [old, canary] = [worker({ id: 1 }), worker({ id: 2, generation: 2 })];
  const all = fleet([old, canary], {
    reload: {
      state: 'canary',
      reload: 1,
      since: 0,
      rollback: null,
      order: 'roll',
      generation: 2,
      policy,
      stage: { name: 'boot' },
    },
  });
  assert.equal(policyOf(all, canary), policy);
  assert.equal(policyOf(all, old), all.policy);
});

test('core: a life was too short if it ended before, or soon after, it was ready; never if the master ended it', () => {
  const unstable = (phase: Phase, now = fixed.stableAfter - 1) => wasUnstable(worker({ id: 1, phase }), now);
  assert.equal(unstable(booting), true);
  assert.equal(unstable(ready), true);
  assert.equal(unstable(ready, fixed.stableAfter), false);
  assert.equal(unstable(draining), false);
  assert.equal(unstable(killed), false);
  assert.equal(unstable({ ...killed, reason: 'shutdown' }), false);
  assert.equal(unstable({ ...killed, reason: 'boot-timeout' }), true);
  assert.equal(unstable({ ...killed, reason: 'misbehaved' }), true);
});

test('core: changes give a new fleet and leave the old one as it was', () => {
  const before = fleet([worker({ id: 1 }), worker({ id: 2 })]);
  const after = withSlot(withWorker(before, 2, { pid: 7 }), 4, { failures: 2 });
  assert.equal(findWorker(before, 2)?.pid, null);
  assert.equal(findWorker(after, 2)?.pid, 7);
  assert.equal(findWorker(after, 9), undefined);
  assert.deepEqual(slotOf(before, 4), { failures: 0, notBefore: 0, restarts: 0 });
  assert.deepEqual(slotOf(after, 4), { failures: 2, notBefore: 0, restarts: 0 });
  assert.equal(before.slots.size, 0);
});
