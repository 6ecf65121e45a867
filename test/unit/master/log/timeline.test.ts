/** The timeline: what is in it, in which words, and that it stays small. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../../src/core/actions.ts';
import type { Event } from '../../../../src/core/events.ts';
import { type Fleet, initialFleet, newWorker, type Phase, type Worker } from '../../../../src/core/model.ts';
import { narrateAction, narrateEvent } from '../../../../src/master/log/narrate.ts';
import { Timeline } from '../../../../src/master/log/timeline.ts';
import { defaultPolicy } from '../../../support/core/simulator.ts';

function worker(id: number, phase: Phase): Worker {
  return { ...newWorker({ id, slot: id - 1, generation: 1 }, 0), pid: 100 + id, phase };
}

const fleet: Fleet = {
  ...initialFleet({ ...defaultPolicy, workers: 2 }),
  workers: [
    worker(1, { name: 'ready', since: 0 }),
    worker(2, {
      name: 'draining',
      since: 0,
      deadline: 9,
      reason: 'scale',
      quick: false,
      awaited: false,
      accepts: true,
    }),
  ],
};

const exited = (id: number): Event => ({ type: 'workerExited', id, code: 1, signal: null, jitter: 0 });
/** As the arbiter tells its observers. */
const fact = (timeline: Timeline, event: Event, now: number): void =>
  timeline.event(event, { fleet, now, line: narrateEvent(event, fleet, now) });
const decision = (timeline: Timeline, action: Action): void =>
  timeline.action(action, { fleet, now: 0, line: narrateAction(action, fleet) });
const newTimeline = (): Timeline => new Timeline(() => new Date(0), 7);

test('what happens is told in the words of the log, with the worker it happened to', () => {
  const timeline = newTimeline();
  fact(timeline, exited(1), 5_000);
  fact(timeline, { type: 'resizeRequested', to: 4 }, 0);
  decision(timeline, { type: 'prepare', reload: 3, generation: 2, rollback: null });
  decision(timeline, { type: 'reject', reload: 3, reason: 'it throws', duration: 10 });
  decision(timeline, { type: 'drain', id: 1, reason: 'memory', quick: false, within: 1 });
  decision(timeline, { type: 'kill', id: 1, reason: 'stuck', signal: 'SIGABRT' });
  assert.deepEqual(
    timeline.entries.map(({ seq, kind, level, text }) => [seq, kind, level, text]),
    [
      [1, 'crash', 'error', 'worker exited unasked (code 1) while it served'],
      [2, 'scale', 'info', 'workers: 2 -> 4'],
      [3, 'reload', 'info', 'reload 3 started'],
      [4, 'reload', 'error', 'reload 3 failed, nothing was changed: it throws'],
      [5, 'recycle', 'info', 'worker retires: maxMemory exceeded'],
      [6, 'stuck', 'error', 'worker gets SIGABRT: stuck: no heartbeat within timeout'],
    ],
  );
  const [crash, scale] = timeline.entries;
  assert.deepEqual([crash?.slot, crash?.worker, crash?.generation, crash?.pid], [0, 1, 1, 101]);
  assert.deepEqual([scale?.slot, scale?.worker, scale?.pid], [null, null, null]);
  assert.equal(crash?.time, '1970-01-01T00:00:00.000Z');
});

test('what happens to every worker of a reload, a scale or a stop is one entry, of the whole', () => {
  const timeline = newTimeline();
  const quiet: Action[] = [
    { type: 'spawn', id: 3, slot: 2, generation: 1 },
    { type: 'drain', id: 1, reason: 'reload', quick: false, within: 1 },
    { type: 'drain', id: 1, reason: 'scale', quick: false, within: 1 },
    { type: 'drain', id: 1, reason: 'shutdown', quick: false, within: 1 },
    { type: 'kill', id: 1, reason: 'shutdown', signal: 'SIGKILL' },
  ];
  for (const action of quiet) decision(timeline, action);
  fact(timeline, exited(2), 0);
  fact(timeline, { type: 'workerReadied', id: 1 }, 0);
  fact(timeline, { type: 'ticked' }, 0);
  assert.deepEqual(timeline.entries, []);
});

test('it is bounded; a crash loop does not push out the last reload', () => {
  const timeline = newTimeline();
  decision(timeline, { type: 'prepare', reload: 1, generation: 2, rollback: null });
  for (let crash = 0; crash < 5_000; crash += 1) fact(timeline, exited(1), 0);
  assert.equal(timeline.entries.length, 101);
  assert.equal(timeline.entries[0]?.kind, 'reload');
  assert.deepEqual([timeline.last, timeline.entries.at(-1)?.seq], [5_001, 5_001]);
  const seqs = timeline.entries.map(({ seq }) => seq);
  assert.deepEqual(
    [...seqs].sort((a, b) => a - b),
    seqs,
  );
});

test('texts and stacks are bounded', () => {
  const timeline = newTimeline();
  const stack = Array.from({ length: 500 }, () => 'at x '.repeat(1_000));
  timeline.add({ kind: 'stuck', level: 'error', text: 'x'.repeat(1e6), stack });
  assert.ok(JSON.stringify(timeline.entries).length < 12_000);
});

test('resuming: what is newer than a number; names of lives differ', () => {
  const timeline = newTimeline();
  let told = 0;
  timeline.onAdded = () => (told += 1);
  for (let n = 0; n < 3; n += 1) timeline.add({ kind: 'reload', level: 'info', text: `${n}` });
  assert.equal(told, 3);
  assert.deepEqual(
    timeline.after(1).map(({ text }) => text),
    ['1', '2'],
  );
  assert.deepEqual(timeline.after(3), []);
  assert.deepEqual(timeline.after(99), []);
  assert.notEqual(timeline.instance, new Timeline(() => new Date(0), 8).instance);
  assert.match(timeline.instance, /^[0-9a-z]{1,24}$/);
});
