/** What each generation serves, and the comparison by which a new one is judged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Comparison, type Fleet, initialFleet, newWorker, type Worker } from '../../../../src/core/model.ts';
import { GenerationTraffic } from '../../../../src/master/metrics/generations.ts';
import { latencyBucket } from '../../../../src/protocol/latency-buckets.ts';
import { durationBounds, type TrafficDelta } from '../../../../src/protocol/traffic.ts';
import { defaultPolicy } from '../../../support/core/simulator.ts';

const canary = {
  for: 120_000,
  maxErrorRate: 0.01,
  maxP99: { times: 2 },
  minRequests: 100,
  onUndecided: 'promote',
} as const;
const idle: Fleet = { ...initialFleet({ ...defaultPolicy, canary }), start: 'complete' };
const reload = { reload: 1, since: 0, rollback: null, order: 'roll', generation: 2 } as const;
const trial: Fleet = {
  ...idle,
  reload: {
    ...reload,
    state: 'canary',
    policy: idle.policy,
    stage: { name: 'trial', since: 0, part: { extra: 0, at: 0, fresh: 0, old: 0 } },
  },
};
const rolling: Fleet = {
  ...idle,
  generation: 2,
  reload: { ...reload, state: 'rolling', timedFrom: 0, failures: 0 },
};

class World {
  now = 10_000;
  fleet = idle;
  readonly traffic = new GenerationTraffic({ fleet: () => this.fleet, now: () => this.now });

  become(fleet: Fleet): void {
    this.fleet = fleet;
    this.traffic.onTurn(fleet);
  }

  /** @param ms of each of the requests; `null` is a worker that reports the histogram alone */
  serve(generation: number, ok: number, errors = 0, ms: number | null = 10, readyAt = 0): Comparison | null {
    this.now += 500;
    const worker: Worker = {
      ...newWorker({ id: generation, slot: 0, generation }, 0),
      phase: { name: 'ready', since: readyAt },
    };
    const event = this.traffic.onTraffic(deltaOf(ok, errors, ms), worker);
    return event?.type === 'trafficCompared' ? event.comparison : null;
  }
}

function deltaOf(ok: number, errors: number, ms: number | null): TrafficDelta {
  const series = [
    [200, ok],
    [500, errors],
  ] as const;
  return {
    series: series.map(([status, count]) => ({
      ...{ method: 'GET', status, route: null, seconds: 1 },
      // All between 5 and 10 ms.
      buckets: [...durationBounds, 0].map((_, index) => (index === 1 ? count : 0)),
    })),
    ...{ aborted: 0, connections: 0, received: 0, sent: 0, upgrades: [] },
    ...(ms === null ? {} : { latencies: [[latencyBucket(ms), ok + errors]] }),
  };
}

test('CANARY-03 traffic: a trial compares what was served since it began, and nothing is compared without one', () => {
  const world = new World();
  assert.equal(world.serve(1, 500, 400), null);
  world.become(trial);
  world.serve(1, 300, 1);
  const comparison = world.serve(2, 90, 10, 50);
  assert.deepEqual({ ...comparison?.old, p99: 0 }, { requests: 301, errors: 1, timed: 301, p99: 0 });
  assert.deepEqual({ ...comparison?.fresh, p99: 0 }, { requests: 100, errors: 10, timed: 100, p99: 0 });
  assert.ok(Math.abs((comparison?.old.p99 ?? 0) - 10) < 1 && Math.abs((comparison?.fresh.p99 ?? 0) - 50) < 5);
  assert.deepEqual([comparison?.slower, comparison?.oldSlower, comparison?.slowSpells], [100, 0, 1]);
  world.serve(1, 2, 0, 500);
  assert.equal(world.serve(2, 1)?.oldSlower, 2);
});

test('CANARY-08 traffic: what a worker serves in its first seconds is not timed, and its errors count', () => {
  const world = new World();
  world.become(trial);
  world.serve(1, 300);
  const { now } = world;
  const cold = world.serve(2, 90, 10, 900, now);
  assert.deepEqual({ ...cold?.fresh, p99: 0 }, { requests: 100, errors: 10, timed: 0, p99: 0 });
  // Of what there is to tell.
  assert.ok(Math.abs((cold?.fresh.p99 ?? 0) - 900) < 90, String(cold?.fresh.p99));
  assert.deepEqual([cold?.slower, cold?.cold], [0, { slower: 100, spells: 1 }]);
  assert.deepEqual(world.serve(2, 100, 0, 900, now)?.cold, { slower: 200, spells: 2 });
  assert.deepEqual(world.serve(2, 100, 0, 10, now)?.cold, { slower: 200, spells: 0 });
  for (const [ms, spells] of [
    [900, 1],
    [850, 2],
    [500, 0],
    [950, 4],
  ] as const)
    assert.equal(
      world.serve(2, 100, 0, ms, world.now)?.cold.spells,
      spells,
      `${ms} ms, and it ${spells === 0 ? 'warms up' : 'does not'}`,
    );
  world.now += 3_000;
  const warm = world.serve(2, 100, 0, 10, now)?.fresh;
  assert.equal(warm?.timed, 100);
  assert.ok((warm?.p99 ?? 0) < 12, String(warm?.p99));
});

test('CANARY-06 traffic: after its trial a generation is judged by its last seconds, and by what the old one served before', () => {
  const world = new World();
  world.become(trial);
  world.serve(1, 1_000);
  world.serve(2, 300);
  world.become(rolling);
  for (let i = 0; i < 60; i += 1) world.serve(2, 100);
  world.become({
    ...rolling,
    reload: { state: 'idle' },
    probation: { generation: 2, until: 90_000, crashes: 0, worse: null },
  });
  let last: Comparison | null = null;
  for (let i = 0; i < 20; i += 1) last = world.serve(2, 90, 10);
  assert.equal(last?.old.requests, 1_000);
  assert.ok((last?.fresh.errors ?? 0) / (last?.fresh.requests ?? 1) > 0.09, JSON.stringify(last));
  world.become(idle);
  assert.equal(world.serve(2, 90, 10), null);
});

test('CANARY-06 traffic: in a rollout that makes both sides slow the new one is not the slower one', () => {
  const world = new World();
  world.become(trial);
  for (let i = 0; i < 20; i += 1) world.serve(1, 1_000);
  world.become(rolling);
  const both = (): Comparison | null => {
    world.serve(1, 100, 0, 60);
    return world.serve(2, 100, 0, 70);
  };
  assert.equal(both()?.slower, 0);
  // Of the old ones hardly anything is left: what they served in the trial is what there is to compare with.
  for (let i = 0; i < 24; i += 1) world.serve(2, 100, 0, 70);
  assert.ok((world.serve(2, 100, 0, 70)?.slower ?? 0) > 1_000);
});

test('CANARY-06 traffic: without a trial, the old generation’s last minute is what there is to compare with', () => {
  const world = new World();
  world.serve(1, 70);
  world.now += 70_000;
  world.serve(1, 500, 5);
  world.become(rolling);
  assert.equal(world.serve(2, 10)?.old.requests, 505);
});

test('CANARY-03 traffic: a generation that was started without the setting is compared by its histogram', () => {
  const world = new World();
  world.become(trial);
  world.serve(1, 300, 0, null);
  const p99 = world.serve(2, 100)?.old.p99 ?? 0;
  assert.ok(p99 >= 10 && p99 < 11, String(p99));
});

test('CANARY-03 traffic: /metrics has the counters of the last generations, and what one is judged by', () => {
  const world = new World();
  for (let generation = 1; generation <= 9; generation += 1) world.serve(generation, 5);
  const shown = () => Object.fromEntries(world.traffic.families().map(({ name, samples }) => [name, samples]));
  const generations = shown().prefork_generation_requests_total?.map(({ labels }) => labels.generation);
  assert.deepEqual([...new Set(generations)], ['5', '6', '7', '8', '9']);
  assert.deepEqual(Object.keys(shown()), ['prefork_generation_requests_total']);
  world.become(trial);
  world.serve(2, 40, 2);
  assert.deepEqual(
    shown().prefork_canary_errors?.map(({ labels, value }) => [labels.side, value]),
    [
      ['new', 2],
      ['old', 0],
    ],
  );
});
