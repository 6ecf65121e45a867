/** Asking a worker where it is: answers, silence, and answers to nobody's question. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Captures } from '../../../../src/master/stuck/capture.ts';
import type { StackMessage } from '../../../../src/protocol/messages.ts';

const stack: StackMessage = {
  type: 'stack',
  frames: ['at spin (/app.js:1:2)'],
  isOwn: false,
  requests: [],
  resources: [],
};
const nothing = (): void => {};

describe('HB-09 a worker is asked where it is', () => {
  it('its answer is the capture', async () => {
    const captures = new Captures();
    const taking = captures.take(1, process.pid, () => captures.onMessage(1, stack), 60_000);
    assert.deepEqual(await taking, {
      frames: stack.frames,
      requests: [],
      isOwnWork: false,
      waitsFor: null,
      problem: null,
    });
  });

  it('an answer without frames says what is waited for', async () => {
    const captures = new Captures();
    const answer = { ...stack, frames: [], resources: ['Timeout'] };
    const { waitsFor, problem } = await captures.take(1, process.pid, () => captures.onMessage(1, answer), 60_000);
    assert.deepEqual({ waitsFor, problem }, { waitsFor: ['Timeout'], problem: null });
  });

  it('silence is told after the time, with what the kernel knows', async () => {
    const { frames, problem } = await new Captures().take(1, process.pid, nothing, 10);
    assert.deepEqual(frames, []);
    assert.match(problem ?? '', /no answer within 10 ms/);
  });

  it('what comes from others, unasked or too late is nobody’s', async () => {
    const captures = new Captures();
    captures.onMessage(1, stack);
    const taking = captures.take(1, process.pid, () => captures.onMessage(2, stack), 10);
    assert.notEqual((await taking).problem, null);
    captures.onMessage(1, stack);
  });
});
