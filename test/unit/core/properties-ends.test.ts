/** How random histories end: a stop ends, a reload ends, and a fleet that is left alone becomes whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../../src/core/fixed.ts';
import { isCanaryOut, target, wantedSpares } from '../../../src/core/fleet.ts';
import { holds, longestVerify, turmoil } from '../../support/core/histories.ts';
import type { Simulator } from '../../support/core/simulator.ts';
import { serving } from '../../support/core/watch.ts';

/** The longest gracefulTimeout, bootTimeout, minReady and progressDeadline of the histories, and what turns add. */
const longest = { graceful: 4_000, boot: 5_000, minReady: 500, progress: 60_000, slack: 1_000 };

/** From the order to leave to the end of any worker, whatever it ignores. */
const leaves = longest.graceful + fixed.drainMargin + fixed.killGrace + longest.slack;

for (const kind of ['graceful', 'quick'] as const) {
  test(`core: CON-03 CON-04 after a ${kind} stop at any moment no worker is started, and all are gone in bounded time`, () => {
    holds((history, play) => {
      // Any moment: drawn with the history, so that a failure can be repeated.
      const at = (history.orders[0]?.at ?? 700) + history.prepareTime;
      let stopped = false;
      const sim = play(({ actions }) => {
        if (!stopped) return;
        for (const { type } of actions) assert.doesNotMatch(type, /^(spawn|prepare|promote)$/);
      });
      sim.runUntil(at);
      if (sim.fleet.stopping !== null) return;
      sim.post({ type: 'stopRequested', kind });
      // The stop may be taken in a little later, together with other facts.
      sim.runUntil(sim.now + history.lag);
      stopped = true;
      sim.runUntil(at + leaves);
      assert.deepEqual(sim.fleet.workers, []);
      assert.ok(sim.fleet.exited);
      assert.equal(sim.trace.filter(({ action }) => action.type === 'exit').length, 1);
    });
  });
}

test('core: every reload has its verdict within bounded time', () => {
  holds((history, play) => {
    const bound =
      Math.max(history.prepareTime + leaves + longest.boot + longest.minReady + longestVerify, longest.progress) +
      longest.slack;
    let since: number | null = null;
    const sim = play(({ now, actions }) => {
      for (const { type } of actions) {
        if (type === 'reject' || type === 'complete' || type === 'halt') since = null;
        // Once it is held it waits for an operator, and by him it is promoted.
        if (type === 'hold') since = null;
        if (type === 'prepare' || type === 'promote') since = now;
      }
      if (since !== null) assert.ok(now <= since + bound, `a reload has taken ${now - since} ms`);
    });
    sim.runUntil(turmoil + bound);
  });
});

test('core: CON-06 left alone, every fleet becomes whole, and its next reload works', () => {
  holds((_history, play) => {
    const sim = play();
    sim.runUntil(turmoil + 100_000);
    if (isCanaryOut(sim.fleet)) {
      sim.post({ type: 'promoteRequested' });
      sim.runUntil(sim.now + 100_000);
    }
    assertWhole(sim);
    if (sim.fleet.stopping !== null) return;
    const before = sim.fleet.generation;
    sim.post({ type: 'reloadRequested' });
    sim.runUntil(sim.now + 1_000);
    // There is no traffic to judge it by.
    if (sim.fleet.policy.canary !== null) sim.post({ type: 'promoteRequested' });
    sim.runUntil(sim.now + 30_000);
    assertWhole(sim);
    assert.equal(sim.fleet.lastReload?.verdict, 'completed');
    assert.equal(sim.fleet.generation, before + 1);
    assert.ok(sim.fleet.workers.every(({ generation }) => generation === before + 1));
  });
});

function assertWhole({ fleet, wakeAt }: Simulator): void {
  if (fleet.stopping !== null) return;
  assert.equal(serving(fleet), target(fleet));
  assert.equal(fleet.workers.length, target(fleet) + wantedSpares(fleet));
  assert.equal(fleet.workers.filter(({ phase }) => phase.name === 'spare').length, wantedSpares(fleet));
  assert.equal(fleet.reload.state, 'idle');
  assert.equal(fleet.reloadPending, false);
  if (!fleet.halted) assert.ok(fleet.workers.every(({ generation }) => generation === fleet.generation));
  const { autoscale, timeout, blockedWarning } = fleet.policy;
  // A pool that follows its load may still be about to shrink, and a leader whose work fails is tried again.
  if (timeout === 0 && blockedWarning === 0 && autoscale === null && fleet.leadership.failures === 0)
    assert.equal(wakeAt, null);
}
