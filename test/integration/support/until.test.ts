/** Waiting: deadlines hold on a machine at rest, and stretch on one that has too much to do. */
// Runs alone: it makes the machine slow for everything else.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { slowness, slownessNow, stretched, whenLate } from '../../support/slowness.ts';
import { stays, until } from '../../support/until.ts';

/** Keeps every core busy six times over, in this process's own scheduling group. */
function busyLoops(): ChildProcess[] {
  const count = 6 * availableParallelism();
  return Array.from({ length: count }, () => spawn('/bin/sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
}

describe('until', () => {
  it('gives what the condition gives, as soon as it does', async () => {
    let looks = 0;
    assert.equal(await until('the third look', () => (++looks === 3 ? 'there' : null)), 'there');
    assert.equal(looks, 3);
  });

  it('names what it waited for in vain, and the last error', async () => {
    const waiting = until(
      'godot',
      () => {
        throw new Error('not today');
      },
      { within: 100 },
    );
    await assert.rejects(waiting, /^Error: waited \d+ ms in vain for godot \(last error: Error: not today\)$/);
  });

  it('ends early with a reason', async () => {
    await assert.rejects(
      until('godot', () => null, { abort: () => 'he is dead' }),
      /gave up waiting for godot: he is dead/,
    );
  });

  it('and what does not stay is told', async () => {
    let looks = 0;
    await assert.rejects(
      stays('calm', () => ++looks < 3, 5_000),
      /did not stay: calm/,
    );
  });
});

describe('on a machine that has too much to do', () => {
  it('deadlines stretch, and what is late within them is not too late', async (t) => {
    const before = slowness();
    const loops = busyLoops();
    t.after(() => loops.map((loop) => loop.kill('SIGKILL')));
    const now = await until('the machine to be slow', () => (slownessNow() >= 2 ? slownessNow() : null), {
      within: 20_000,
    });
    t.diagnostic(`slowness ${before.toFixed(1)} before, ${now.toFixed(1)} beside ${loops.length} busy loops`);
    assert.ok(stretched(100) >= 200);
    const startedAt = performance.now();
    await until('twice as long as allowed', () => performance.now() - startedAt > 400, { within: 250 });
    await new Promise<void>((resolve) => whenLate(200, resolve));
    assert.ok(performance.now() - startedAt >= 400 + 350, 'whenLate called too early');
  });
});
