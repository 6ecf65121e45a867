/** An app that talks to its parent process: nobody is there, and nothing comes of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { start } from '../../support/faults.ts';
import { stopClean } from '../../support/invariants.ts';
import { fixture } from '../../support/paths.ts';
import { residentSize } from '../../support/proc.ts';
import { requestJson } from '../../support/request.ts';

const app = fixture('node/parent.cjs');

describe("the app's own messages to its parent process", () => {
  it('are dropped, however many and large they are; the service says so once, with the remedy', async (t) => {
    const s = await start(t, { app });
    const before = s.workers();
    const rss = residentSize(s.pid);
    for (let round = 0; round < 6; round++) {
      const { results, error } = await requestJson(s.target, '/send?n=20000');
      assert.deepEqual([results, error], [[true], null]);
    }
    await requestJson(s.target, '/send?n=50&length=8000000');
    assert.match((await s.reload()).msg, /done/);
    await requestJson(s.target, '/send');
    const told = s.log.filter(({ msg }) => msg.includes('process.send'));
    assert.equal(told.length, 1, JSON.stringify(told));
    assert.equal(told[0]?.level, 40);
    assert.match(told[0]?.msg ?? '', /disableClustering/);
    assert.equal(before.length, 3);
    assert.ok(residentSize(s.pid) - rss < 100e6);
    assert.equal(s.log.filter(({ msg }) => /protocol|killed/.test(msg)).length, 0);
    await stopClean(s);
  });

  it("see the same process as ever: a worker of node:cluster, with a channel, and no listener but Node's own and theirs", async (t) => {
    const s = await start(t, { app, workers: 1 });
    const facts = await requestJson(s.target, '/facts');
    assert.deepEqual(
      { ...facts, pid: 0 },
      { pid: 0, isWorker: true, connected: true, channel: 'function', listeners: 2, heard: [] },
    );
    await stopClean(s);
  });

  it('to a child of its own arrive, with sockets, both ways', async (t) => {
    const s = await start(t, { app, workers: 1 });
    for (let round = 0; round < 3; round++) {
      const { answer, returned, code, fds } = await requestJson(s.target, '/child');
      assert.deepEqual([answer, returned, code], ['from the child', 'Server', 0]);
      // Its channel, the server that it was sent, and its own: nothing of the worker's.
      assert.equal(fds, 3);
    }
    await stopClean(s);
  });
});
