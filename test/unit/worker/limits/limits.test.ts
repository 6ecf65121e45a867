/** The limits of requests, without a worker around them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SlowRequest, WorkerMessage } from '../../../../src/protocol/messages.ts';
import type { Channel } from '../../../../src/worker/channel.ts';
import { LimitCounts } from '../../../../src/worker/limits/counts.ts';
import { Lateness } from '../../../../src/worker/limits/lateness.ts';
import { type LimitSettings, Limits } from '../../../../src/worker/limits/limits.ts';
import { SlowReports } from '../../../../src/worker/limits/slow-reports.ts';
import type { Observer } from '../../../../src/worker/traffic/observer.ts';
import { Traffic } from '../../../../src/worker/traffic/traffic.ts';

const off: LimitSettings = { slowRequest: 0, requestTimeout: 0, maxInFlight: 0, maxLoopDelay: 0 };

/** What the limits put into a worker. */
function installed(settings: Partial<LimitSettings>): { events: string[]; guards: number; timers: number } {
  const traffic = new Traffic({ keepAlive: 0, health: null });
  const events = new Set<string>();
  let guards = 0;
  const subscribe = traffic.subscribe.bind(traffic);
  traffic.subscribe = (observer: Observer) => {
    for (const name of Object.getOwnPropertyNames({ ...observer })) events.add(name);
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(observer))) {
      if (name.startsWith('on')) events.add(name);
    }
    subscribe(observer);
  };
  const guard = traffic.guard.bind(traffic);
  traffic.guard = (admission) => {
    guards += 1;
    guard(admission);
  };
  const { setInterval: set } = globalThis;
  let timers = 0;
  globalThis.setInterval = ((run: () => void, every: number) => {
    timers += 1;
    const timer = set(run, every);
    timer.unref();
    return timer;
  }) as typeof setInterval;
  try {
    const limits = Limits.join(traffic, { send: () => {}, backlog: 0 } as unknown as Channel, { ...off, ...settings });
    if (limits === null) assert.equal(traffic.limits, null);
  } finally {
    globalThis.setInterval = set;
  }
  return { events: [...events].sort(), guards, timers };
}

describe('limits that are off', () => {
  it('LIM-05: put nothing into a worker: no observer, no question at a request, no timer', () => {
    assert.deepEqual(installed({}), { events: [], guards: 0, timers: 0 });
  });

  it('LIM-05: nor does one of them for the others', () => {
    assert.deepEqual(installed({ maxLoopDelay: 100 }), { events: [], guards: 1, timers: 0 });
    const { events, guards, timers } = installed({ maxInFlight: 1 });
    assert.deepEqual([guards, timers], [1, 0]);
    assert.ok(events.includes('onFinished') && !events.includes('onBegin'));
    assert.deepEqual(installed({ slowRequest: 1_000 }), {
      events: ['onAborted', 'onFinished', 'onStreamClosed'],
      guards: 0,
      timers: 1,
    });
    assert.equal(installed({ requestTimeout: 1_000 }).guards, 0);
  });
});

describe('how late the event loop is', () => {
  it('is the mean of half a second, and recovers without anybody asking', () => {
    let now = 0;
    const lateness = new Lateness(() => now);
    assert.equal(lateness.get(), 0, 'before it is started');
    const look = (after: number): void => {
      now += after;
      lateness.look();
    };
    look(0);
    look(50);
    assert.equal(lateness.get(), 0);
    look(350);
    assert.equal(lateness.get(), 100, 'once 300 late, of three looks');
    for (let count = 0; count < 8; count += 1) look(50);
    assert.ok(lateness.get() < 50, String(lateness.get()));
    for (let count = 0; count < 2; count += 1) look(50);
    assert.equal(lateness.get(), 0);
  });

  it('is also what is due now: a look may be long in coming', () => {
    let now = 0;
    const lateness = new Lateness(() => now);
    lateness.look();
    now = 750;
    assert.equal(lateness.get(), 700);
  });

  it('is high as long as every turn of the loop is long', () => {
    let now = 0;
    const lateness = new Lateness(() => now);
    lateness.look();
    for (let count = 0; count < 20; count += 1) {
      now += 300;
      lateness.look();
      // The first look, which was in time, counts for half a second.
      if (count > 1) assert.equal(lateness.get(), 250);
    }
  });
});

describe('reports of slow requests', () => {
  const request: SlowRequest = {
    method: 'GET',
    url: '/',
    route: null,
    id: null,
    trace: null,
    age: 1,
    state: 'running',
    status: null,
  };
  type Slow = Extract<WorkerMessage, { type: 'slow' }>;

  function reports(): { told: Slow[]; slow: SlowReports; pass(ms: number): void } {
    const told: Slow[] = [];
    let now = 0;
    const send = (message: WorkerMessage): void => void told.push(message as Slow);
    return {
      told,
      slow: new SlowReports({ send, backlog: 0 }, () => now),
      pass: (ms) => {
        now += ms;
      },
    };
  }

  it('are ten in ten seconds, and then how many more there were', () => {
    const { told, slow, pass } = reports();
    const taken = Array.from({ length: 1_000 }, () => slow.begin(request));
    assert.equal(taken.filter(Boolean).length, 10);
    slow.flush();
    assert.deepEqual(
      told.map(({ requests, more }) => [requests.length, more]),
      [[10, 0]],
    );
    pass(9_000);
    slow.flush();
    assert.equal(told.length, 1);
    pass(1_000);
    slow.flush();
    assert.deepEqual([told[1]?.requests.length, told[1]?.more], [0, 990]);
    slow.flush();
    assert.equal(told.length, 2);
    assert.equal(slow.begin(request), true);
  });

  it('are of a hundred that run at most: each of them has an end to be told', () => {
    const { told, slow, pass } = reports();
    let taken = 0;
    for (let round = 0; round < 20; round += 1) {
      for (let count = 0; count < 20; count += 1) taken += slow.begin(request) ? 1 : 0;
      slow.flush();
      pass(10_000);
    }
    assert.equal(taken, 100);
    const before = told.length;
    for (let count = 0; count < 100; count += 1) slow.end({ ...request, state: 'answered', status: 200 });
    slow.flush();
    assert.ok(told.length - before <= 12, 'the master takes so many at once');
    assert.equal(slow.begin(request), true);
  });
});

describe('counts', () => {
  it('are told once, as what was added', () => {
    const counts = new LimitCounts();
    assert.deepEqual(counts.take(), []);
    for (const name of ['in_flight', 'in_flight', 'loop_delay', 'timed_out'] as const) counts.add(name);
    assert.deepEqual([counts.rejected, counts.timedOut], [3, 1]);
    assert.deepEqual(
      new Map(counts.take()),
      new Map([
        ['timed_out', 1],
        ['in_flight', 2],
        ['loop_delay', 1],
      ] as const),
    );
    assert.deepEqual(counts.take(), []);
    assert.equal(counts.rejected, 3);
  });
});
