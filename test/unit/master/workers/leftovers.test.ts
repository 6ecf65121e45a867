/** Pipes of workers that are gone, held open by what these have forked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { Leftovers, maxLeftovers, restWithin } from '../../../../src/master/workers/leftovers.ts';

describe('pipes of workers that are gone', () => {
  it('are kept, but no more of them than a bound: the oldest is closed', () => {
    const leftovers = new Leftovers();
    const streams = Array.from({ length: 3 * maxLeftovers }, () => new PassThrough());
    for (const stream of streams) leftovers.add(stream);
    const open = streams.filter(({ destroyed }) => !destroyed);
    assert.deepEqual(open, streams.slice(-maxLeftovers));
    for (const stream of streams) stream.destroy();
  });

  it('are closed after a while if more comes than is read, and not if nothing comes', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const leftovers = new Leftovers();
    const [flood, quiet] = [new PassThrough(), new PassThrough()];
    for (const stream of [flood, quiet]) {
      stream.resume();
      leftovers.add(stream);
    }
    flood.pause();
    t.mock.timers.tick(restWithin - 1);
    assert.ok(!flood.destroyed);
    t.mock.timers.tick(1);
    assert.ok(flood.destroyed);
    assert.ok(!quiet.destroyed);
    quiet.destroy();
  });

  it('count only while they are open', async () => {
    const leftovers = new Leftovers();
    const first = new PassThrough();
    leftovers.add(first);
    leftovers.add(null);
    for (let index = 0; index < maxLeftovers * 2; index += 1) {
      const stream = new PassThrough();
      leftovers.add(stream);
      stream.destroy();
      await once(stream, 'close');
      leftovers.add(stream);
    }
    assert.ok(!first.destroyed);
    first.destroy();
  });
});
