import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunningClock } from '../../../src/master/clock.ts';

function fakeTime(): { read: () => number; advance: (ms: number) => void } {
  let time = 1_000;
  return {
    read: () => time,
    advance: (ms) => {
      time += ms;
    },
  };
}

test('HB-05 clock: time in which the master did not run is not counted', () => {
  const { read, advance } = fakeTime();
  const clock = new RunningClock(read);
  const before = clock.now();
  clock.expect(100);
  advance(100 + 4_000);
  assert.equal(clock.resume(), 4_000);
  assert.equal(clock.now() - before, 100);
});

test('clock: being a little late is ordinary and counts', () => {
  const { read, advance } = fakeTime();
  const clock = new RunningClock(read);
  clock.expect(100);
  advance(350);
  assert.equal(clock.resume(), 0);
  assert.equal(clock.now(), 1_350);
});

test('clock: a turn that was not expected loses nothing', () => {
  const { read, advance } = fakeTime();
  const clock = new RunningClock(read);
  advance(60_000);
  assert.equal(clock.resume(), 0);
  clock.expect(1_000);
  advance(10);
  assert.equal(clock.resume(), 0);
  advance(60_000);
  assert.equal(clock.resume(), 0, 'an expectation holds for one turn');
});
