/** What is said of a worker whose event loop is blocked, and when there is nothing to say. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Settings } from '../../../../src/config/resolved.ts';
import type { Fleet } from '../../../../src/core/model.ts';
import type { Logger } from '../../../../src/master/log/logger.ts';
import { Timeline } from '../../../../src/master/log/timeline.ts';
import { Stuck } from '../../../../src/master/stuck/stuck.ts';
import type { Pool } from '../../../../src/master/workers/pool.ts';

const phase = { name: 'ready', since: 0 };
const fleet = { workers: [{ id: 1, slot: 0, generation: 1, pid: process.pid, beatAt: 0, phase }] } as unknown as Fleet;

it('HB-09 a worker that dies while it is asked is not reported as blocked after its exit', async () => {
  for (const [pids, expected] of [
    [[process.pid, process.pid], 1],
    [[process.pid, null], 0],
  ] as const) {
    const left: (number | null)[] = [...pids];
    const timeline = new Timeline();
    const stuck = new Stuck({
      pool: { pidOf: () => left.shift() ?? null, signal: () => {} } as unknown as Pool,
      logger: () => ({ warn: () => {}, error: () => {} }) as unknown as Logger,
      timeline,
      settingsOf: () => ({ captures: true }) as unknown as Settings,
      onCaptured: () => {},
    });
    // There is no answer, and nobody has to wait for that.
    stuck.onMute(1);
    await stuck.capture(1, false, fleet);
    assert.equal(timeline.entries.length, expected);
  }
});
