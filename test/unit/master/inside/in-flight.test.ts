/** Asking workers for their requests: one question at a time, and only answers to it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorker } from '../../../../src/core/model.ts';
import { InFlight } from '../../../../src/master/inside/in-flight.ts';
import { shownRequests } from '../../../../src/master/inside/shown.ts';
import { checkWorkerMessage } from '../../../../src/protocol/check.ts';
import type { MasterMessage } from '../../../../src/protocol/messages.ts';

const worker = { ...newWorker({ id: 1, slot: 0, generation: 1 }, 0), pid: 77 };

function make(): { inFlight: InFlight; sent: MasterMessage[]; seq: () => number } {
  const sent: MasterMessage[] = [];
  const inFlight = new InFlight({ send: (_, message) => void sent.push(message) });
  const seq = (): number =>
    sent.flatMap((message) => (message.type === 'ask-requests' ? message.seq : [])).at(-1) ?? -1;
  return { inFlight, sent, seq };
}

const request = { method: 'GET', url: '/a?b=c', age: 1_500, phase: 'app', id: null, trace: null, route: null } as const;

describe('INS-01 workers are asked for their requests', () => {
  it('once for all who ask at the same time, and not again at once', async () => {
    const { inFlight, sent, seq } = make();
    const asking = [inFlight.ask(worker), inFlight.ask(worker)];
    inFlight.onMessage(1, { type: 'requests', seq: seq(), total: 3, requests: [request] });
    for (const told of await Promise.all(asking)) assert.equal(told?.total, 3);
    assert.equal((await inFlight.ask(worker))?.total, 3);
    assert.equal(sent.length, 1);
  });

  it('and one that does not answer is asked no second time', async () => {
    const { inFlight, sent, seq } = make();
    assert.equal(await inFlight.ask(worker), null);
    assert.equal(await inFlight.ask(worker), null);
    assert.equal(sent.length, 1);
    inFlight.onMessage(1, { type: 'requests', seq: seq(), total: 1, requests: [request] });
    assert.equal((await inFlight.ask(worker))?.total, 1);
  });

  it('what comes unasked, or from another, is nobody’s', async () => {
    const { inFlight, seq } = make();
    inFlight.onMessage(1, { type: 'requests', seq: 0, total: 9, requests: [] });
    const asking = inFlight.ask(worker);
    inFlight.onMessage(1, { type: 'requests', seq: seq() + 1, total: 9, requests: [] });
    inFlight.onMessage(2, { type: 'requests', seq: seq(), total: 9, requests: [] });
    assert.equal(await asking, null);
    assert.equal(inFlight.last(1), null);
  });

  it('and what they say is bounded', () => {
    const requests = Array.from({ length: 500 }, () => ({
      ...request,
      url: 'x'.repeat(9_000),
      route: 'y'.repeat(9_000),
    }));
    const checked = checkWorkerMessage({ type: 'requests', seq: 1, total: 500, requests });
    assert.ok(checked.kind === 'message' && checked.message.type === 'requests');
    assert.equal(checked.message.requests.length, 100);
    const [first] = checked.message.requests;
    assert.deepEqual([first?.url.length, first?.route?.length], [500, 200]);
    const odd = {
      type: 'requests',
      seq: 1,
      total: 1,
      requests: [{ ...request, phase: 'constructor', route: 7 }, null, 1],
    };
    const second = checkWorkerMessage(odd);
    assert.ok(second.kind === 'message' && second.message.type === 'requests');
    assert.deepEqual(second.message.requests, [{ ...request, phase: null }]);
    for (const bad of [{ seq: -1 }, { total: 'x' }, { requests: {} }])
      assert.equal(checkWorkerMessage({ ...odd, ...bad }).kind, 'malformed');
  });

  it('the oldest of all workers come first; a query is shown to the service’s user alone', () => {
    const { inFlight } = make();
    const told = inFlight.seen([request, { ...request, url: '/old#x', age: 9_000 }]);
    const known = [{ worker, told, isSilent: true }];
    const all = shownRequests(known, { most: 10, hidesQueries: false });
    assert.deepEqual(
      all.requests.map(({ url }) => url),
      ['/old#x', '/a?b=c'],
    );
    assert.deepEqual(all.silent, [{ slot: 0, worker: 1, pid: 77 }]);
    const few = shownRequests(known, { most: 1, hidesQueries: true });
    assert.deepEqual(
      few.requests.map(({ url }) => url),
      ['/old'],
    );
    assert.equal(few.inFlight, 2);
  });
});
