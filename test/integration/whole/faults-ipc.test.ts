/** SEC-08: what a hostile worker says to the master changes nothing for anybody else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { app, replaced, start } from '../../support/faults.ts';
import { stopClean } from '../../support/invariants.ts';
import { fdCount, residentSize } from '../../support/proc.ts';
import { freePort, request, requestJson } from '../../support/request.ts';
import { stays, until } from '../../support/until.ts';

describe('SEC-08: what a worker says to the master', { concurrency: 3 }, () => {
  /** What becomes of who says it: nothing, or its own end. */
  const says: readonly (readonly [name: string, fate: 'stays' | 'goes' | 'any'])[] = [
    ['own', 'stays'],
    ['flood-own', 'stays'],
    ['huge-own', 'stays'],
    ['handle', 'stays'],
    ['ready', 'stays'],
    ['unknown', 'goes'],
    ['beat', 'goes'],
    ['infinite', 'goes'],
    ['proto', 'goes'],
    ['type-object', 'goes'],
    ['garbage', 'goes'],
    ['binary', 'goes'],
    ['no-utf8', 'goes'],
    ['null', 'goes'],
    ['deep', 'goes'],
    ['endless', 'goes'],
    ['endless-metrics', 'goes'],
    ['huge', 'goes'],
    ['large', 'goes'],
    ['pieces', 'goes'],
    ['errors', 'goes'],
    ['flood', 'goes'],
    ['big', 'goes'],
    ['shut', 'any'],
    ['internal', 'stays'],
    ['ack', 'stays'],
    ['nack', 'stays'],
    ['channel-garbage', 'stays'],
    ['channel-endless', 'stays'],
    ['channel-ready', 'stays'],
  ];
  for (const [name, fate] of says) {
    it(`${name}: speaks for nobody else; the siblings and the master stay`, async (t) => {
      const s = await start(t, { app });
      const before = s.workers();
      const rss = residentSize(s.pid);
      const fds = fdCount(s.pid);
      const { pid } = await requestJson(s.target, `/ipc?say=${name}`);
      const siblings = before.filter((each) => each !== pid);
      await until(
        'three ready workers',
        async () => (await request(s.target, '/pid', { timeout: 5_000 })).status === 200 && s.workers().length >= 3,
        { within: 20_000 },
      );
      await stays('the siblings', () => siblings.every((each) => s.workers().includes(each)), 1_000);
      if (fate === 'stays') assert.deepEqual(s.workers(), before);
      if (fate === 'goes')
        await until('the speaker to be gone', () => !s.workers().includes(Number(pid)), { within: 10_000 });
      assert.equal(s.exit, null);
      assert.ok(residentSize(s.pid) - rss < 150e6, `the master grew by ${residentSize(s.pid) - rss} bytes`);
      await until('the descriptors', () => fdCount(s.pid) <= fds, { within: 10_000 });
      const gone = before.filter((each) => !s.workers().includes(each));
      t.diagnostic(`${name}: ${gone.length === 0 ? 'nobody went' : 'the speaker was replaced'}`);
      await replaced(s, gone);
      // Node's own words, where what was said came back to the speaker.
      await stopClean(s, { allow: /./ });
    });
  }

  it('NODE_CLUSTER queryServer for a port of its own choice: nothing is bound', async (t) => {
    const s = await start(t, { app });
    const port = await freePort();
    const fds = fdCount(s.pid);
    await requestJson(s.target, `/ipc?say=cluster&port=${port}`);
    await stays(
      'nobody on that port',
      async () =>
        (await request({ port }, '/', { timeout: 500 }).catch((e: NodeJS.ErrnoException) => e.code)) === 'ECONNREFUSED',
      1_000,
    );
    assert.ok(fdCount(s.pid) <= fds + 1, 'the master opened something');
    await stopClean(s, { ports: [port] });
  });
});
