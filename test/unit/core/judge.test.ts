/** Verdicts on a generation's traffic: sure of what is clear, and of nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CanaryPolicy, type Comparison, initialFleet, type Served } from '../../../src/core/model.ts';
import { comparisonText, latencyLimit, worseNow, worseThanOld } from '../../../src/core/rules/judge.ts';
import { defaultPolicy } from '../../support/core/simulator.ts';

const canary: CanaryPolicy = {
  for: 120_000,
  maxErrorRate: 0.01,
  maxP99: { times: 2 },
  minRequests: 200,
  onUndecided: 'promote',
};

const served = (requests: number, errors = 0, p99: number | null = 10): Served => ({
  requests,
  errors,
  timed: p99 === null ? 0 : requests,
  p99,
});

function compared(fresh: Served, old: Served, slower = 0, slowSpells = 3): Comparison {
  return { generation: 2, fresh, old, slower, oldSlower: 0, slowSpells, cold: { slower, spells: 0 } };
}

const judge = (comparison: Comparison, change: Partial<CanaryPolicy> = {}): string | null =>
  worseThanOld({ ...canary, ...change }, comparison);

/** The same numbers in each run. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

test('CANARY-08 core: 5 % errors are clear after as many requests as minRequests asks for', () => {
  assert.match(judge(compared(served(200, 10), served(800))) ?? '', /^worse than the one before: 5xx 5 % against 0 %,/);
  assert.equal(judge(compared(served(199, 199), served(800))), null);
});

test('CANARY-08 core: the limit is what there may be beyond the old rate, so a fix of a broken release passes', () => {
  assert.equal(judge(compared(served(20_000, 600), served(80_000, 2_400))), null);
  assert.equal(judge(compared(served(20_000, 700), served(80_000, 2_400))), null);
  assert.notEqual(judge(compared(served(20_000, 1_000), served(80_000, 2_400))), null);
  assert.equal(judge(compared(served(2_000, 900), served(8_000, 4_000))), null);
});

test('CANARY-08 core: chance is no reason: of 500 trials of a release that is no worse, none is taken back', () => {
  const random = uniform(1);
  const draw = (requests: number): number => Array.from({ length: requests }, random).filter((x) => x < 0.02).length;
  for (let trial = 0; trial < 500; trial += 1) {
    const fresh = { requests: 0, errors: 0 };
    const old = { requests: 0, errors: 0 };
    // It is looked at again and again.
    for (let look = 0; look < 20; look += 1) {
      fresh.requests += 50;
      fresh.errors += draw(50);
      old.requests += 150;
      old.errors += draw(150);
      const text = judge(compared(served(fresh.requests, fresh.errors), served(old.requests, old.errors)));
      assert.equal(text, null);
    }
  }
});

test('CANARY-08 core: it is slower if more than one in a hundred answers take longer than the limit, and again and again', () => {
  const old = served(1_000, 0, 50);
  assert.match(
    judge(compared(served(400, 0, 130), old, 40)) ?? '',
    /^slower than the one before: .*p99 130 ms against 50/,
  );
  assert.equal(judge(compared(served(400, 0, 130), old, 4)), null);
  assert.equal(judge(compared(served(400, 0, 130), old, 40, 2)), null);
  assert.equal(judge(compared(served(400, 0, 130), old, 40), { maxP99: null }), null);
  // Hardly any of them was timed.
  assert.equal(judge(compared({ ...served(400), timed: 20 }, old, 20)), null);
});

test('CANARY-08 core: of a route that is slow on both sides, a few requests more or fewer are no reason', () => {
  // One request in a hundred takes 500 ms: the percentile of the old ones is that of the 99 others.
  const old = served(600, 0, 6);
  const slow = compared(served(200, 0, 500), old, 8);
  assert.equal(judge({ ...slow, oldSlower: 6 }), null);
  assert.match(judge({ ...slow, oldSlower: 0 }) ?? '', /^slower than the one before/);
  assert.match(judge({ ...compared(served(200, 0, 500), old, 40), oldSlower: 6 }) ?? '', /^slower/);
  // A limit in milliseconds is one, whatever the old ones do.
  assert.match(judge({ ...slow, oldSlower: 200 }, { maxP99: { milliseconds: 100 } }) ?? '', /^slower/);
});

test('CANARY-08 core: a cold start is no reason, but most answers being slow again and again is one', () => {
  const fresh = { ...served(400, 0, 130), timed: 0 };
  const cold = (slower: number, spells: number, old = served(1_000, 0, 50)): string | null =>
    judge({ ...compared(fresh, old, 0, 0), cold: { slower, spells } });
  assert.match(cold(300, 3) ?? '', /^slower than the one before: 5xx 0 % against 0 %, p99 130 ms against 50, in 400/);
  assert.equal(cold(300, 2), null);
  // The first second was slow, and since then it is not.
  assert.equal(cold(300, 0), null);
  assert.equal(cold(210, 3), null);
  // Those beside it have hardly begun as well.
  assert.equal(cold(400, 3, { ...served(1_000, 0, 50), timed: 20 }), null);
  assert.equal(
    judge({ ...compared(fresh, served(1_000), 0, 0), cold: { slower: 400, spells: 9 } }, { maxP99: null }),
    null,
  );
});

test('CANARY-06 core: where nobody serves beside it, a slow moment of the machine is no reason, and slow seconds are', () => {
  const probation = { generation: 2, until: 90_000, crashes: 0, worse: null };
  const now = (slowSpells: number, beside: boolean): string | null => {
    const traffic = compared(served(400, 0, 130), served(1_000, 0, 50), 40, slowSpells);
    const fleet = { ...initialFleet({ ...defaultPolicy, canary }), probation: beside ? null : probation, traffic };
    return worseNow(fleet, 2);
  };
  assert.equal(now(8, false), null);
  assert.match(now(12, false) ?? '', /^slower than the one before: /);
  assert.match(now(8, true) ?? '', /^slower than the one before: /);
});

test('CANARY-08 core: a few milliseconds are no reason, whatever they are the multiple of', () => {
  assert.equal(latencyLimit({ times: 2 }, 1), 11);
  assert.equal(latencyLimit({ times: 2 }, 100), 200);
  assert.equal(latencyLimit({ milliseconds: 500 }, 1), 500);
  assert.equal(latencyLimit({ times: 2 }, null), null);
  assert.equal(latencyLimit(null, 7), null);
});

test('CANARY-08 core: without anything to compare with there is no verdict', () => {
  assert.equal(judge(compared(served(500, 500), served(0, 0, null))), null);
});

test('CANARY-08 core: the figures as they are told', () => {
  const text = comparisonText(compared(served(412, 29, 840), served(5_000, 10, 120)));
  assert.equal(text, '5xx 7 % against 0.2 %, p99 840 ms against 120, in 412 requests');
  const single = comparisonText(compared(served(1, 0, null), served(90_000, 9, 4.26)));
  assert.equal(single, '5xx 0 % against 0.01 %, in 1 request');
});
