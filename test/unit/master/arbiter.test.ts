/** The arbiter's observers: they are told of everything, in one order, with the very line that the log gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turnTaken } from 'node:timers/promises';
import { initialFleet } from '../../../src/core/model.ts';
import { Arbiter } from '../../../src/master/arbiter.ts';
import { RunningClock } from '../../../src/master/clock.ts';
import type { Line } from '../../../src/master/log/line.ts';
import { logObserver, type Observer } from '../../../src/master/log/observer.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const fleet = initialFleet(defaultPolicy);

test('an event and an action are narrated once: every observer gets the very line that the log gets', async (t) => {
  const written: Line[] = [];
  const seen: { readonly who: string; readonly what: string; readonly line: Line | null }[] = [];
  const observer = (who: string): Observer => ({
    event: ({ type }, { line }) => seen.push({ who, what: type, line }),
    action: ({ type }, { line }) => seen.push({ who, what: type, line }),
  });
  const acted: string[] = [];
  const arbiter = new Arbiter({
    fleet: { ...fleet, start: 'complete' },
    observers: [logObserver((line) => written.push(line)), observer('first'), observer('second')],
  });
  arbiter.connect({ act: ({ type }) => acted.push(type), onTurn: () => {} });
  t.after(() => arbiter.end());
  arbiter.post({ type: 'resizeRequested', to: 4 });
  arbiter.post({ type: 'reloadRequested' });
  await turnTaken();
  const told = (name: string) => seen.filter(({ who }) => who === name);
  assert.deepEqual(
    told('first').map(({ what }) => what),
    ['resizeRequested', 'reloadRequested', ...acted],
  );
  assert.deepEqual(
    written.map(({ message }) => message),
    ['workers: 3 -> 4', 'reload 1 started'],
  );
  for (const name of ['first', 'second']) {
    const lines = told(name).flatMap(({ line }) => line ?? []);
    assert.equal(lines.length, written.length);
    for (const [index, line] of lines.entries()) assert.equal(line, written[index], 'it is the same object');
  }
});

test('an event is told with what was known before it, an action with what was known when it was decided', async (t) => {
  const wanted: [string, number, number][] = [];
  const arbiter = new Arbiter({
    fleet,
    observers: [
      {
        event: ({ type }, told) => wanted.push([type, told.fleet.wanted, told.fleet.workers.length]),
        action: ({ type }, told) => wanted.push([type, told.fleet.wanted, told.fleet.workers.length]),
      },
    ],
  });
  t.after(() => arbiter.end());
  arbiter.post({ type: 'resizeRequested', to: 1 });
  await turnTaken();
  assert.deepEqual(wanted.slice(0, 2), [
    ['resizeRequested', 3, 0],
    ['spawn', 1, 1],
  ]);
});

test('HB-05 a time in which the master did not run is told to the log before anything is judged', async (t) => {
  let time = 0;
  const order: string[] = [];
  const arbiter = new Arbiter({
    fleet,
    clock: new RunningClock(() => time),
    observers: [
      logObserver(({ level, message, fields }) => order.push(`${level} ${message} ${fields.lostMs}`)),
      { event: ({ type }) => order.push(type) },
    ],
  });
  t.after(() => arbiter.end());
  arbiter.post({ type: 'ticked' });
  await turnTaken();
  time += 60_000;
  arbiter.post({ type: 'reopenRequested' });
  await turnTaken();
  assert.equal(order[0], 'ticked');
  assert.match(order[1] ?? '', /^warn the master did not run for a while; .* \d{5}$/);
  assert.equal(order[2], 'reopenRequested');
});
