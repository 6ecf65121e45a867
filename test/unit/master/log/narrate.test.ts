/** What the log says: of each event and action that it mentions, in which words, at which level. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../../src/core/actions.ts';
import type { Death } from '../../../../src/core/death.ts';
import type { Event, EventOf } from '../../../../src/core/events.ts';
import { seated, withChanged } from '../../../../src/core/fleet.ts';
import { type Fleet, initialFleet, newWorker, type SeatedWorker, type Worker } from '../../../../src/core/model.ts';
import { narrateAction, narrateEvent } from '../../../../src/master/log/narrate.ts';
import { Simulator } from '../../../support/core/simulator.ts';

const sim = new Simulator({ policy: { workers: 1 } });
sim.at(0, () => sim.post({ type: 'ticked' }));
sim.runUntil(1_000);
/** One worker, ready since 100 ms. */
const { fleet } = sim;
const now = 1_000;

const withPhase = (phase: SeatedWorker['phase']): Fleet => ({
  ...fleet,
  workers: seated(fleet).map((worker): Worker => ({ ...worker, phase })),
});
const booting = withPhase({ name: 'booting', since: 0 });
const draining = withPhase({
  name: 'draining',
  since: 400,
  deadline: 9_000,
  reason: 'reload',
  quick: false,
  awaited: false,
  accepts: true,
});
const killed = withPhase({ name: 'killed', since: 0, reason: 'stuck', signal: 'SIGABRT' });
const stopping: Fleet = {
  ...fleet,
  stopping: { kind: 'graceful', deadline: 9_000, listening: true, acceptUntil: 0, status: 0 },
};
const following: Fleet = { ...fleet, policy: { ...fleet.policy, autoscale: { min: 1, max: 4 } } };
const preparing: Fleet = {
  ...fleet,
  reload: { state: 'preparing', reload: 1, since: 0, rollback: null, order: 'roll' },
};
const upgrading = (change: Partial<Extract<Fleet['upgrade'], { state: 'starting' }>> = {}): Fleet => ({
  ...fleet,
  upgrades: 1,
  successor: 9,
  upgrade: {
    state: 'starting',
    since: 0,
    deadline: 9_000,
    readySince: null,
    byHand: false,
    dismissed: false,
    ...change,
  },
});
const leaving: Fleet = {
  ...fleet,
  upgrades: 1,
  successor: 9,
  dormant: true,
  upgrade: {
    state: 'ready',
    since: 0,
    deadline: 9_000,
    taken: true,
    takenSince: 0,
    reloads: false,
    stops: false,
    byHand: false,
    wasDormant: false,
  },
};

const death: Death = { cause: 'asked', why: null, requests: [], inFlight: 0, stack: [], details: [] };
const slow = { method: 'GET', url: '/slow?token=1', age: 31_000, id: 'a1', route: '/:page' };
const exit = (code: number | null, signal: string | null = null): EventOf<'workerExited'> => ({
  type: 'workerExited',
  id: 1,
  code,
  signal,
  jitter: 0,
});

const told: readonly (readonly [Event, Fleet, string | null])[] = [
  [
    { type: 'workerSpawned', id: 1, pid: 7, limits: { requests: null, lifetime: null } },
    booting,
    'info worker spawned',
  ],
  [
    { type: 'workerSpawnFailed', id: 1, reason: 'EMFILE', jitter: 0 },
    booting,
    'error worker could not be spawned: EMFILE',
  ],
  [{ type: 'workerReadied', id: 1 }, booting, 'info worker ready in 1.00 s'],
  [{ type: 'workerReadied', id: 1 }, fleet, null],
  [{ type: 'workerHindered', id: 1, reason: 'no db' }, booting, 'warn worker is not ready yet: no db'],
  [{ type: 'workerHindered', id: 1, reason: 'no db' }, fleet, 'warn worker is unhealthy: no db'],
  [{ type: 'workerHindered', id: 1, reason: null }, fleet, null],
  [{ type: 'workerTermed', id: 1 }, fleet, 'info worker was sent SIGTERM: it leaves when its replacement is ready'],
  [{ type: 'workerTermed', id: 1 }, stopping, null],
  [{ type: 'workerMisbehaved', id: 1, reason: 'no JSON' }, fleet, 'error worker broke the protocol: no JSON'],
  [exit(1), booting, 'error worker exited unasked (code 1) before it was ready'],
  [exit(null, 'SIGKILL'), fleet, 'error worker exited unasked (SIGKILL) while it served'],
  [
    { ...exit(null, 'SIGKILL'), death: { ...death, cause: 'killed', why: 'killed by SIGKILL from outside' } },
    fleet,
    'error worker exited unasked (SIGKILL) while it served: killed by SIGKILL from outside',
  ],
  [
    { ...exit(null, 'SIGKILL'), death: { ...death, requests: [slow], inFlight: 3 } },
    killed,
    'info worker is gone (SIGKILL); it was serving GET /slow for 31.0 s (route /:page, id a1) and 2 more',
  ],
  [
    { ...exit(null, 'SIGSEGV'), death: { ...death, cause: 'native', why: 'crashed', inFlight: 1 } },
    fleet,
    'error worker exited unasked (SIGSEGV) while it served: crashed; 1 request was in flight, none for long',
  ],
  [
    { ...exit(3), death: { ...death, cause: 'exit', why: 'the app called process.exit(3) at a.ts:1:2' } },
    draining,
    'warn worker left after 0.60 s of drain (code 3): the app called process.exit(3) at a.ts:1:2',
  ],
  [exit(0), draining, 'info worker left after 0.60 s of drain (code 0)'],
  [exit(3), draining, 'warn worker left after 0.60 s of drain (code 3)'],
  [exit(null, 'SIGABRT'), killed, 'info worker is gone (SIGABRT)'],
  [{ type: 'reloadRequested' }, fleet, null],
  [{ type: 'reloadRequested' }, preparing, 'info reload queued: it runs after the one under way'],
  [{ type: 'reloadRequested' }, stopping, 'warn reload ignored: the service is stopping'],
  [{ type: 'scaleRequested', by: 1 }, fleet, 'info workers: 1 -> 2'],
  [{ type: 'scaleRequested', by: 1 }, following, 'info workers: 1 -> 2: asked for by an operator'],
  [{ type: 'scaleRequested', by: -1 }, fleet, 'warn workers stay at 1: there is never less than one'],
  [{ type: 'resizeRequested', to: 99 }, fleet, 'warn workers stay at 1: maxWorkers is 12'],
  [{ type: 'resizeRequested', to: 2 }, stopping, null],
  [{ type: 'poolDismissed' }, fleet, 'info all workers retire, the sockets stay open (HUP brings workers back)'],
  [
    { type: 'poolDismissed' },
    upgrading(),
    'info the upgrade goes on by hand: our workers leave when the new master is ready',
  ],
  [{ type: 'stopRequested', kind: 'graceful' }, fleet, 'info stopping (graceful)'],
  [
    { type: 'stopRequested', kind: 'graceful' },
    { ...fleet, policy: { ...fleet.policy, drainDelay: 2_000 } },
    'info stopping (graceful); readiness says 503, and accepting goes on for 2.00 s',
  ],
  [{ type: 'stopRequested', kind: 'graceful' }, stopping, 'warn stopping now (asked a second time)'],
  [{ type: 'upgradeRequested' }, fleet, null],
  [{ type: 'upgradeRequested' }, preparing, 'info upgrade queued: it runs after the reload under way'],
  [{ type: 'upgradeRequested' }, stopping, 'warn upgrade refused: the service is stopping'],
  [{ type: 'successorSpawned', pid: 9 }, upgrading(), 'info upgrade 1 started: the new master has pid 9'],
  [{ type: 'successorReadied' }, upgrading(), 'info upgrade 1: the new master is ready'],
  [
    { type: 'successorReadied' },
    upgrading({ byHand: true }),
    'info upgrade 1: the new master is ready; both serve; WINCH this one for its workers to leave, and the rest is up to you: TERM this one, or HUP this one and TERM the new one',
  ],
  [{ type: 'successorTook' }, leaving, 'info upgrade 1 done: the new master serves, this one leaves'],
  [{ type: 'successorStopping' }, leaving, 'info the new master was told to stop, so the service stops'],
  [
    { type: 'successorGone', reason: 'it exited with code 1' },
    upgrading(),
    'error upgrade 1 failed, nothing was changed: it exited with code 1',
  ],
  [
    { type: 'successorGone', reason: 'it exited with code 1' },
    leaving,
    'error the new master is gone, this one serves again: it exited with code 1',
  ],
  [{ type: 'predecessorStayed' }, fleet, 'info the master before this one stays: an operator decided so'],
  [{ type: 'ticked' }, fleet, null],
];

for (const [event, before, expected] of told) {
  test(`log: ${event.type}: ${expected ?? 'nothing'}`, () => {
    const line = narrateEvent(event, before, now);
    assert.equal(line === null ? null : `${line.level} ${line.message}`, expected);
    if (line !== null && event.type.startsWith('worker')) {
      const { slot, worker, generation, pid } = line.fields;
      assert.deepEqual([slot, worker, generation, typeof pid], [0, 1, 1, 'number']);
    }
  });
}

const decided: readonly (readonly [Action, string | null])[] = [
  [{ type: 'spawn', id: 1, slot: 0, generation: 1 }, null],
  [{ type: 'drain', id: 1, reason: 'requests', quick: false, within: 1 }, 'info worker retires: maxRequests reached'],
  [
    { type: 'kill', id: 1, reason: 'stuck', signal: 'SIGABRT' },
    'error worker gets SIGABRT: stuck: no heartbeat within timeout',
  ],
  [{ type: 'kill', id: 1, reason: 'shutdown', signal: 'SIGKILL' }, 'info worker gets SIGKILL: not needed any more'],
  [{ type: 'prepare', reload: 1, generation: 2, rollback: null }, 'info reload 1 started'],
  [
    { type: 'prepare', reload: 1, generation: 2, rollback: 'it crashes' },
    'error rolling back to the previous release: it crashes',
  ],
  [
    { type: 'promote', reload: 1, generation: 2 },
    'info reload 1: the first worker of generation 2 is good, the rest follow',
  ],
  [
    { type: 'reject', reload: 1, reason: 'it throws', duration: 20 },
    'error reload 1 failed, nothing was changed: it throws',
  ],
  [
    { type: 'complete', reload: 1, generation: 2, duration: 2_100 },
    'info reload 1 done in 2.10 s: generation 2 serves',
  ],
  [
    { type: 'halt', reload: 1, reason: 'it throws', duration: 20 },
    'error reload 1 stopped half way, the remaining old workers stay: it throws',
  ],
  [{ type: 'declareStarted', workers: 3 }, 'info ready: 3 workers serve'],
  [
    { type: 'abandon', upgrade: 1, reason: 'it hangs', quick: false },
    'error upgrade 1 failed, nothing was changed: it hangs; the new master is ended',
  ],
  [{ type: 'reopen' }, 'info log files reopened'],
  [{ type: 'exit', status: 0, reason: null }, 'info stopped'],
  [{ type: 'exit', status: 3, reason: 'no worker could boot' }, 'fatal giving up: no worker could boot'],
];

for (const [action, expected] of decided) {
  test(`log: ${action.type}: ${expected ?? 'nothing'}`, () => {
    const line = narrateAction(action, fleet);
    assert.equal(line === null ? null : `${line.level} ${line.message}`, expected);
  });
}

/** The worker, and a spare that has waited since 400 ms. */
const spare: Worker = {
  ...newWorker({ id: 7, slot: null, generation: 1 }, 300),
  slot: null,
  pid: 70,
  phase: { name: 'spare', since: 400 },
};
const withSpare: Fleet = { ...fleet, workers: [...fleet.workers, spare] };

test('log: a spare that takes a place is a story of its own: who died, who comes, since when it serves', () => {
  const lines = [
    narrateEvent(
      { type: 'workerBooted', id: 7 },
      withChanged(withSpare, { ...spare, slot: null, phase: { name: 'booting', since: 300 } }),
      now,
    ),
    narrateEvent(exit(null, 'SIGKILL'), withSpare, now),
    narrateAction({ type: 'place', id: 7, slot: 0, reason: 'gone' }, withSpare),
    narrateAction({ type: 'place', id: 7, slot: 0, reason: 'scale' }, withSpare),
    narrateAction({ type: 'place', id: 7, slot: 0, reason: 'recycle' }, withSpare),
    narrateEvent(
      { type: 'workerReadied', id: 7 },
      withChanged(withSpare, { ...spare, slot: 0, phase: { name: 'joining', since: now - 3 } }),
      now,
    ),
    // What a spare says of itself does not make it serve.
    narrateEvent({ type: 'workerReadied', id: 7 }, withSpare, now),
    narrateEvent({ type: 'workerExited', id: 7, code: 1, signal: null, jitter: 0 }, withSpare, now),
    narrateAction({ type: 'drain', id: 7, reason: 'scale', quick: false, within: 1 }, withSpare),
  ];
  assert.deepEqual(
    lines.map((line) => line?.message ?? null),
    [
      'spare ready in 0.70 s',
      'worker exited unasked (SIGKILL) while it served',
      'a spare (pid 70) takes the place of the worker that is gone',
      'a spare (pid 70) takes the new place',
      'a spare (pid 70) takes over from the worker that is to be replaced',
      'worker ready 3 ms after it was given its slot',
      null,
      'spare exited unasked (code 1) while it waited for a place',
      'spare retires: no spares are wanted now',
    ],
  );
  assert.deepEqual(lines[0]?.fields, { spare: true, worker: 7, generation: 1, pid: 70, bootMs: 700 });
});

test('log: an event about a worker that is gone is no error', () => {
  const none = initialFleet(fleet.policy);
  for (const [event] of told) assert.doesNotThrow(() => narrateEvent(event, none, now));
});
