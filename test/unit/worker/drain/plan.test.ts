import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  endlessUntil,
  goodbyeAt,
  orphanOrder,
  planFor,
  shortened,
  webSocketTimes,
} from '../../../../src/worker/drain/plan.ts';

describe('the plan of a drain', () => {
  it('keeps idle connections for the linger, and at most until the deadline', () => {
    const plan = planFor({ within: 30_000, linger: 2_000, quick: false, awaited: true }, 100);
    assert.deepEqual(plan, {
      startedAt: 100,
      deadline: 30_100,
      awaitedSince: 100,
      lingerUntil: 2_100,
      minIdle: 250,
      freshTime: 250,
      headTime: 3_000,
    });
    assert.equal(planFor({ within: 1_000, linger: 2_000, quick: false, awaited: true }, 100).lingerUntil, 1_100);
    assert.equal(planFor({ within: 1_000, linger: 100, quick: false, awaited: true }, 100).minIdle, 100);
  });

  it('that is quick keeps no idle connection', () => {
    const plan = planFor({ within: 5_000, linger: 2_000, quick: true, awaited: true }, 100);
    assert.deepEqual(plan, {
      startedAt: 100,
      deadline: 5_100,
      awaitedSince: 100,
      lingerUntil: 100,
      minIdle: 0,
      freshTime: 100,
      headTime: 250,
    });
  });

  it('gets shorter by a further order, never longer, and stays as old as it is', () => {
    const plan = planFor({ within: 5_000, linger: 2_000, quick: false, awaited: true }, 0);
    const longer = planFor({ within: 60_000, linger: 9_000, quick: false, awaited: true }, 100);
    assert.deepEqual(shortened(plan, longer), plan);
    const quick = planFor({ within: 60_000, linger: 2_000, quick: true, awaited: true }, 100);
    assert.deepEqual(shortened(plan, quick), { ...quick, startedAt: 0, awaitedSince: 0, deadline: 5_000 });
    const sooner = planFor({ within: 1_000, linger: 9_000, quick: false, awaited: true }, 100);
    assert.equal(shortened(plan, sooner).deadline, 1_100);
    assert.equal(shortened(plan, sooner).lingerUntil, 1_100);
  });

  it('tells WebSockets early: after a second, within two, and sooner if there is little time', () => {
    const plan = (within: number) => webSocketTimes(planFor({ within, linger: 0, quick: false, awaited: true }, 100));
    assert.deepEqual(plan(30_000), { from: 1_100, until: 3_100, patience: 3_000 });
    assert.deepEqual(plan(10_000), { from: 1_100, until: 3_100, patience: 3_000 });
    assert.deepEqual(plan(1_000), { from: 200, until: 400, patience: 300 });
  });

  it('ends event streams without an end within seven seconds from the moment on at which somebody waits', () => {
    const unawaited = planFor({ within: 30_000, linger: 24_000, quick: false, awaited: false }, 100);
    assert.equal(endlessUntil(unawaited, 0), null);
    const awaited = shortened(
      unawaited,
      planFor({ within: 20_000, linger: 2_000, quick: false, awaited: true }, 10_000),
    );
    assert.equal(awaited.lingerUntil, 12_000);
    assert.equal(endlessUntil(awaited, 0), 14_000);
    assert.equal(endlessUntil(awaited, 1), 17_000);
    // What comes later changes nothing of it.
    assert.deepEqual(shortened(awaited, unawaited), awaited);
  });

  it('says goodbye a second before the deadline, and in a short drain for its last fifth', () => {
    assert.equal(goodbyeAt(planFor({ within: 30_000, linger: 0, quick: false, awaited: true }, 100)), 29_100);
    assert.equal(goodbyeAt(planFor({ within: 1_000, linger: 0, quick: false, awaited: true }, 100)), 900);
  });

  it("of a worker without a master leaves the app's own handlers time, and never takes less than half of all", () => {
    const { within, linger, quick, last } = orphanOrder({ gracefulTimeout: 30_000, drainLinger: 2_000 }, true);
    assert.deepEqual({ within, linger, quick, last }, { within: 29_500, linger: 2_000, quick: false, last: true });
    assert.equal(orphanOrder({ gracefulTimeout: 600, drainLinger: 0 }, false).within, 300);
  });
});
