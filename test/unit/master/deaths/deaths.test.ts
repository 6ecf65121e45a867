/** What a worker tells while it lives is about itself, bounded, and becomes the story of its exit. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Settings } from '../../../../src/config/resolved.ts';
import type { EventOf } from '../../../../src/core/events.ts';
import { seated } from '../../../../src/core/fleet.ts';
import type { SeatedWorker } from '../../../../src/core/model.ts';
import { Deaths } from '../../../../src/master/deaths/deaths.ts';
import { OomKiller } from '../../../../src/master/deaths/oom-killer.ts';
import { narrateEvent } from '../../../../src/master/log/narrate.ts';
import type { WorkerFigures } from '../../../../src/protocol/figures.ts';
import { Simulator } from '../../../support/core/simulator.ts';

const sim = new Simulator({ policy: { workers: 2 } });
sim.at(0, () => sim.post({ type: 'ticked' }));
sim.runUntil(3_000);
const { fleet } = sim;
const [one, two] = seated(fleet);
assert.ok(one !== undefined && two !== undefined);

const settings = { env: {}, nodeArgs: [] as string[] } as unknown as Settings;
const figures = { requests: 5, rss: 1e8, connections: 1, inFlight: 3, heapUsed: 2e7 } as unknown as WorkerFigures;
const exit = ({ id }: SeatedWorker, signal: string | null, code: number | null = null): EventOf<'workerExited'> => ({
  ...{ type: 'workerExited', id, code, signal, jitter: 0 },
});

function make() {
  let now = 1_000;
  let kills = 3;
  const killer = new OomKiller(
    () => ({ count: kills, of: 'group' }),
    () => 256 * 1024 * 1024,
    () => now,
  );
  const deaths = new Deaths(
    () => settings,
    killer,
    () => now,
  );
  return { deaths, pass: (ms: number) => (now += ms), oomKill: () => (kills += 1) };
}

const unknown = { id: null, trace: null, route: null, phase: null };

describe('the story of an exit', () => {
  it('WHY-02 has the requests of the last heartbeat, which are older now', () => {
    const { deaths, pass } = make();
    const request = { method: 'GET', url: '/slow?key=secret', age: 700, ...unknown, id: 'r1' };
    deaths.onBeat(one.id, { type: 'beat', figures, requests: [request] });
    pass(400);
    const { death } = deaths.explain(exit(one, 'SIGSEGV'), one);
    assert.deepEqual(death?.requests, [{ ...request, age: 1_100 }]);
    assert.equal(death?.inFlight, 3);
    const line = narrateEvent({ ...exit(one, 'SIGSEGV'), ...(death === undefined ? {} : { death }) }, fleet, 9_000);
    assert.match(line?.message ?? '', /; it was serving GET \/slow for 1\.1 s \(id r1\) and 2 more$/);
    assert.ok(line?.details?.some((detail) => detail.startsWith('not answered: GET /slow')));
    assert.ok(line?.details?.some((detail) => /core dump/.test(detail)));
  });

  it('WHY-02 forgets requests that were answered since', () => {
    const { deaths } = make();
    deaths.onBeat(one.id, { type: 'beat', figures, requests: [{ method: 'GET', url: '/', age: 700, ...unknown }] });
    deaths.onBeat(one.id, { type: 'beat', figures: { ...figures, inFlight: 0 } });
    const { death } = deaths.explain(exit(one, 'SIGSEGV'), one);
    assert.deepEqual([death?.requests, death?.inFlight], [[], 0]);
  });

  it('WHY-02 is that of one worker, whatever another one tells', () => {
    const { deaths } = make();
    deaths.onFailed(two.id, { name: 'Error', message: 'of another', stack: '' });
    deaths.onPrinted(two.id, 'FATAL ERROR: JavaScript heap out of memory');
    const { death } = deaths.explain(exit(one, 'SIGSEGV'), one);
    assert.doesNotMatch(JSON.stringify(death), /another|heap/);
  });

  it('WHY-03 a rise of the counter explains as many workers as it says, and none that came before', () => {
    const { deaths, oomKill, pass } = make();
    const cause = (): string | undefined => deaths.explain(exit(one, 'SIGKILL'), one).death?.cause;
    assert.equal(cause(), 'killed');
    oomKill();
    assert.equal(cause(), 'oom');
    assert.equal(cause(), 'killed', 'one kill is one worker');
    oomKill();
    pass(11_000);
    deaths.onBeat(two.id, { type: 'beat', figures });
    assert.equal(cause(), 'killed', 'what the kernel killed earlier was somebody else');
  });

  it('WHY-04 the status has the last twenty, without the queries of their requests', () => {
    const { deaths } = make();
    for (let index = 0; index < 30; index += 1) {
      deaths.onBeat(one.id, {
        type: 'beat',
        figures,
        requests: [{ method: 'GET', url: `/${index}?key=secret`, age: 1, ...unknown }],
      });
      const event = deaths.explain(exit(one, 'SIGSEGV'), one);
      deaths.event(event, { fleet, now: 1, line: narrateEvent(event, fleet, 1) });
    }
    assert.equal(deaths.reports.length, 20);
    assert.deepEqual([deaths.reports[0]?.requests[0]?.url, deaths.reports.at(-1)?.requests[0]?.url], ['/10', '/29']);
    assert.doesNotMatch(JSON.stringify(deaths.reports), /secret/);
  });

  it('WHY-04 says nothing of a worker that left as it was told', () => {
    const { deaths } = make();
    const leaving: SeatedWorker = {
      ...one,
      phase: {
        name: 'draining',
        since: 0,
        deadline: 9,
        reason: 'reload',
        quick: false,
        awaited: false,
        accepts: false,
      },
    };
    const without = { ...fleet, workers: [leaving] };
    const tell = (code: number): void => {
      const event = deaths.explain(exit(leaving, null, code), leaving);
      deaths.event(event, { fleet: without, now: 1, line: narrateEvent(event, without, 1) });
    };
    tell(0);
    assert.deepEqual(deaths.reports, []);
    tell(1);
    assert.equal(deaths.reports.length, 1, 'one that failed on its way out is told of');
  });
});
