/** How late the event loop is, looked at seldom while there is little to do. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pause } from '../../../src/system/pause.ts';
import { LoopDelay } from '../../../src/worker/loop-delay.ts';

function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Blocks the loop while it is watched. @returns the most that was seen of it */
async function seenOf(delay: LoopDelay, milliseconds: number, utilisation: number): Promise<number> {
  // Watched for a while, so that a look is due when the block begins.
  await pause(250);
  delay.take(utilisation);
  // Node begins anew, and needs a look to do so.
  await pause(250);
  block(milliseconds);
  await pause(250);
  return delay.take(utilisation).max;
}

it('sees a long block of an idle loop, and a short one once there is work', async () => {
  const delay = new LoopDelay();
  assert.deepEqual(delay.take(0), { p99: 0, max: 0 }, 'nothing is known before it is started');
  delay.start();
  const long = await seenOf(delay, 400, 0);
  // The distance between two looks is lost.
  assert.ok(long >= 250, `${long}`);
  for (const utilisation of [0.5, 0.5]) delay.take(utilisation);
  const short = await seenOf(delay, 80, 0.5);
  assert.ok(short >= 50, `${short}`);
});
