/** The verdict on a canary as it forms, in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressText } from '../../../src/protocol/reload-text.ts';
import type { Status } from '../../../src/protocol/status.ts';

type Running = NonNullable<Status['reload']['running']>;

function textOf(running: Partial<Running>): string | null {
  const reload = { running: { reload: 1, step: 'canary', uptime: 3, ...running } as Running, last: null };
  return progressText({ reload, workers: [], generation: 1, wanted: 3 } as unknown as Status);
}

const served = (requests: number) => ({ requests, errors: 0, p99: null });
const trial = { seconds: 120, left: 94.2, minRequests: 200, old: served(900) };

test('CANARY-03: progress says how a canary compares, how many requests are missing, and how long it takes', () => {
  assert.equal(textOf({}), 'the first new worker boots');
  assert.equal(
    textOf({ trial: { ...trial, fresh: served(0) } }),
    'the first new worker is judged by its traffic: in 0 requests of the 200 that are needed, 95 s left',
  );
  const compared = '5xx 0 % against 0.1 %, p99 12 ms against 11, in 412 requests';
  assert.equal(
    textOf({ trial: { ...trial, fresh: served(412) }, compared }),
    `the first new worker is judged by its traffic: ${compared}, 95 s left`,
  );
  assert.equal(textOf({ step: 'rolling', compared }), `0 of 3 workers are new (${compared})`);
});
