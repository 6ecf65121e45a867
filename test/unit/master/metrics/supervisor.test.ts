/** What the supervisor counts of itself, over simulated histories. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observe } from '../../../../src/core/observe.ts';
import type { Labels } from '../../../../src/master/metrics/family.ts';
import { SupervisorTotals } from '../../../../src/master/metrics/supervisor.ts';
import { type Behaviour, wellBehaved } from '../../../support/core/process.ts';
import { Simulator, type SimulatorOptions } from '../../../support/core/simulator.ts';

/** A fleet whose events and actions are counted, as the arbiter tells them. */
function counted(options: SimulatorOptions): { readonly sim: Simulator; readonly totals: SupervisorTotals } {
  const totals = new SupervisorTotals();
  const sim = new Simulator({
    ...options,
    onTurn: ({ events, earlier, after, actions, now }) => {
      let fleet = earlier;
      for (const event of events) {
        totals.event(event, fleet, now);
        fleet = observe(fleet, event, now);
      }
      for (const action of actions) totals.action(action, after);
      totals.onTurn(after);
    },
  });
  sim.at(0, () => sim.post({ type: 'ticked' }));
  return { sim, totals };
}

/** The samples of a counter that are not zero, by their only label. */
function samplesOf(totals: SupervisorTotals, name: string): Record<string, number> {
  const family = totals.families().find((each) => each.name === name);
  assert.ok(family !== undefined, name);
  const key = (labels: Labels) => Object.values(labels)[0] ?? '';
  return Object.fromEntries(
    family.samples
      .filter(({ value, suffix }) => suffix === '' && value > 0)
      .map(({ labels, value }) => [key(labels), value]),
  );
}

const behaviour =
  (odd: Readonly<Record<number, Partial<Behaviour>>>): NonNullable<SimulatorOptions['behaviour']> =>
  (id) => ({ ...wellBehaved, ...odd[id] });

test('starts are counted by why: the start, a scale, a crash, a reload, a recycled worker', () => {
  const { sim, totals } = counted({ policy: { workers: 2 } });
  sim.at(1_000, () => sim.post({ type: 'resizeRequested', to: 3 }));
  sim.at(5_000, () => sim.processes.get(1)?.exit(null, 'SIGKILL'));
  sim.at(10_000, () => sim.post({ type: 'recycleRequested', slot: 1 }));
  sim.runUntil(15_000);
  assert.deepEqual(samplesOf(totals, 'prefork_worker_starts_total'), { start: 2, scale: 1, respawn: 1, recycle: 1 });
  assert.deepEqual(samplesOf(totals, 'prefork_worker_exits_total'), { crash: 1, operator: 1 });
  sim.post({ type: 'reloadRequested' });
  sim.runUntil(20_000);
  // The configuration has two workers: the third is not replaced.
  assert.equal(samplesOf(totals, 'prefork_worker_starts_total').reload, 2);
  assert.deepEqual(samplesOf(totals, 'prefork_reloads_total'), { completed: 1 });
});

test('exits are counted by why: a boot that fails or hangs, a fork that fails, a stuck worker, a stop', () => {
  const { sim, totals } = counted({
    policy: { workers: 4, maxBooting: 4, bootTimeout: 1_000, timeout: 2_000 },
    behaviour: behaviour({ 2: { failsWith: 1 }, 3: { boot: null }, 4: { forkFails: true }, 1: { blocksAfter: 1_000 } }),
  });
  sim.runUntil(10_000);
  sim.post({ type: 'stopRequested', kind: 'graceful' });
  sim.runUntil(20_000);
  assert.deepEqual(samplesOf(totals, 'prefork_worker_exits_total'), {
    boot: 1,
    'boot-timeout': 1,
    spawn: 1,
    stuck: 1,
    shutdown: 4,
  });
  // A boot that hangs is looked at before its end as well.
  assert.deepEqual(samplesOf(totals, 'prefork_stuck_captures_total'), { warning: 1, fatal: 2 });
});

test('a reload is counted once, by how it ended; whether the last one completed is told', () => {
  const { sim, totals } = counted({
    policy: { workers: 1 },
    prepare: (reload) => (reload === 1 ? 'the config is broken' : {}),
  });
  const last = (): number | undefined =>
    totals.families().find(({ name }) => name === 'prefork_last_reload_successful')?.samples[0]?.value;
  assert.equal(last(), undefined);
  sim.at(1_000, () => sim.post({ type: 'reloadRequested' }));
  sim.runUntil(2_000);
  assert.deepEqual(samplesOf(totals, 'prefork_reloads_total'), { rejected: 1 });
  assert.equal(last(), 0);
  sim.post({ type: 'reloadRequested' });
  sim.runUntil(5_000);
  assert.deepEqual(samplesOf(totals, 'prefork_reloads_total'), { rejected: 1, completed: 1 });
  assert.equal(last(), 1);
});

test('WHY-04 deaths are counted by cause, and workers that were asked to leave are none', () => {
  const { sim, totals } = counted({ policy: { workers: 2 } });
  sim.runUntil(5_000);
  const death = { why: null, requests: [], inFlight: 0, stack: [], details: [] };
  for (const cause of ['heap', 'asked', 'heap', 'oom'] as const) {
    const event = {
      type: 'workerExited',
      id: 1,
      code: 1,
      signal: null,
      jitter: 0,
      death: { ...death, cause },
    } as const;
    totals.event(event, sim.fleet, 5_000);
  }
  assert.deepEqual(samplesOf(totals, 'prefork_worker_deaths_total'), { heap: 2, oom: 1 });
});
