/** Why a worker died, in words: what is certain is said as such, what is likely as likely, what is unknown not at all. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Phase } from '../../../../src/core/model.ts';
import type { Evidence } from '../../../../src/master/deaths/evidence.ts';
import { judge } from '../../../../src/master/deaths/verdict.ts';

const megabyte = 1024 * 1024;
const ready: Phase = { name: 'ready', since: 0 };
const killed: Phase = { name: 'killed', since: 0, reason: 'stuck', signal: 'SIGABRT' };
const figures = { requests: 1, rss: 90 * megabyte, connections: 2, heapUsed: 20 * megabyte };

const nothing: Evidence = {
  ...{ code: null, signal: null, phase: ready, dying: null, failure: null, fatal: null },
  ...{ figures, silent: 300, frames: [], requests: [], inFlight: 0 },
  heapLimit: () => ({ bytes: 4_144 * megabyte, option: null }),
  oom: () => ({ kind: 'unknown' }),
};
const small = () => ({ bytes: 64 * megabyte, option: '--max-old-space-size' });
const failure = { name: 'TypeError', message: 'x is not a function', stack: '', frame: 'checkout (src/cart.ts:41:7)' };
const dying = { type: 'dying', caller: null, after: null, requests: [], inFlight: 0 } as const;

type Case = readonly [title: string, given: Partial<Evidence>, cause: string, why: RegExp | null];
const cases: readonly Case[] = [
  [
    'an error, with the line of the app that threw it',
    { code: 1, failure },
    'error',
    /^TypeError: x is not a function at checkout \(src\/cart\.ts:41:7\)$/,
  ],
  [
    'a rejection',
    { code: 1, failure: { ...failure, isRejection: true } },
    'error',
    /^a promise was rejected and nothing handled it: TypeError: x is not a function at checkout/,
  ],
  [
    'a rejection with something that is no error, which Node describes at length',
    {
      code: 1,
      failure: {
        ...{ name: 'UnhandledPromiseRejection', stack: '', frame: null, isRejection: true },
        message: 'This error originated. The promise rejected with the reason "no room".',
      },
    },
    'error',
    /handled it: no room$/,
  ],
  [
    'an error with what has caused it',
    { code: 1, failure: { ...failure, because: 'cause: Error: connect ECONNREFUSED 127.0.0.1:5432' } },
    'error',
    /^TypeError: x is not a function \(cause: Error: connect ECONNREFUSED 127\.0\.0\.1:5432\) at checkout \(/,
  ],
  [
    'what was thrown and is no error',
    { code: 1, failure: { ...failure, name: '', message: 'no stock', frame: null } },
    'error',
    /^no stock \(not an Error\)$/,
  ],
  [
    'an error whose message is long, of many lines and hostile',
    { code: 1, failure: { ...failure, message: `${'a\u202e'.repeat(5_000)}\nsecond` } },
    'error',
    /^TypeError: a{150}\.\.\. at checkout/,
  ],
  [
    'process.exit, with its caller',
    { code: 3, dying: { ...dying, how: 'exit', caller: 'stop (src/x.ts:9:3)' } },
    'exit',
    /^the app called process\.exit\(3\) at stop \(src\/x\.ts:9:3\)$/,
  ],
  [
    'process.exit in a handler of errors',
    { code: 1, dying: { ...dying, how: 'exit', after: { name: 'Error', message: 'no db', frame: 'a.js:1:2' } } },
    'exit',
    /^the app called process\.exit\(1\), after Error: no db at a\.js:1:2$/,
  ],
  ['nothing left to do', { code: 0, dying: { ...dying, how: 'end' } }, 'ended', /^nothing was left for it to do/],
  ['a status that nobody explains', { code: 7 }, 'error', /handler of uncaught exceptions/],
  ['another one', { code: 55 }, 'unknown', null],
  [
    'process.abort',
    { signal: 'SIGABRT', dying: { ...dying, how: 'abort', caller: 'a.js:3:1' } },
    'abort',
    /^the app called process\.abort\(\) at a\.js:3:1$/,
  ],
  [
    'out of heap, as V8 has printed',
    { signal: 'SIGABRT', fatal: 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory' },
    'heap',
    /^out of heap: limit 4144 MB, 20 MB used and 90 MB resident 0\.3 s before$/,
  ],
  [
    'out of heap, as V8 has printed and its last figures do not show',
    { signal: 'SIGTRAP', fatal: '# Fatal JavaScript out of memory: MemoryChunk' },
    'heap',
    /^out of heap: /,
  ],
  [
    'out of heap, as its last figures show',
    { signal: 'SIGABRT', heapLimit: small, figures: { ...figures, heapUsed: 50 * megabyte } },
    'heap',
    /^out of heap: limit 64 MB \(--max-old-space-size\), 50 MB used/,
  ],
  [
    'a heap that may have filled since the last figures',
    { signal: 'SIGABRT', heapLimit: small },
    'heap',
    /^most likely out of heap: limit 64 MB/,
  ],
  [
    'a heap that blocked the loop while it filled',
    { signal: 'SIGABRT', silent: 9_000, frames: ['at leak (/srv/a.js:1:2)'] },
    'heap',
    /^most likely out of heap: limit 4144 MB/,
  ],
  [
    'an abort, where no heap of that size fills in that time',
    { signal: 'SIGABRT' },
    'native',
    /^crashed in native code: SIGABRT \(Node, V8 or an addon gave up/,
  ],
  [
    'an abort that says another reason',
    { signal: 'SIGABRT', heapLimit: small, fatal: 'FATAL ERROR: v8::ToLocalChecked Empty MaybeLocal' },
    'native',
    /^crashed: SIGABRT, FATAL ERROR: v8::ToLocalChecked/,
  ],
  ['a crash in native code', { signal: 'SIGSEGV' }, 'native', /^crashed in native code: SIGSEGV \(it touched memory/],
  ['another one', { signal: 'SIGBUS' }, 'native', /^crashed in native code: SIGBUS/],
  ['another signal', { signal: 'SIGUSR2' }, 'signal', /^ended by SIGUSR2, which somebody has sent$/],
  [
    'SIGKILL, where the kernel counts its own',
    { signal: 'SIGKILL', oom: () => ({ kind: 'other' }) },
    'killed',
    /^killed by SIGKILL from outside, not by prefork, and the system had not run out of memory$/,
  ],
  ['SIGKILL, where it does not', { signal: 'SIGKILL' }, 'killed', /from outside, not by prefork; if no one sent it/],
  [
    'the OOM killer in a container',
    { signal: 'SIGKILL', oom: () => ({ kind: 'oom', of: 'group', limit: 512 * megabyte }) },
    'oom',
    /^killed by the kernel's OOM killer: out of the container's memory of 512 MB$/,
  ],
  [
    'the OOM killer of a machine',
    { signal: 'SIGKILL', oom: () => ({ kind: 'oom', of: 'machine', limit: null }) },
    'oom',
    /OOM killer: the machine ran out of memory$/,
  ],
  [
    'the OOM killer of a machine, counted for a group that has no limit',
    { signal: 'SIGKILL', oom: () => ({ kind: 'oom', of: 'group', limit: null }) },
    'oom',
    /OOM killer: the machine ran out of memory$/,
  ],
  ["what prefork's own signal has ended", { signal: 'SIGABRT', phase: killed }, 'asked', null],
  ['what prefork has killed after it did not end', { signal: 'SIGKILL', phase: killed }, 'asked', null],
];

describe('why a worker died', () => {
  for (const [title, given, cause, why] of cases) {
    it(`WHY-01 ${title}`, () => {
      const verdict = judge({ ...nothing, ...given });
      assert.equal(verdict.cause, cause);
      if (why === null) assert.equal(verdict.why, null);
      else assert.match(verdict.why ?? '', why);
      assert.ok((verdict.why ?? '').length < 800);
    });
  }

  it('WHY-01 asks the kernel only about what was killed by SIGKILL', () => {
    const oom = (): never => assert.fail('asked');
    for (const given of [{ signal: 'SIGSEGV' }, { code: 1, failure }, { signal: 'SIGKILL', phase: killed }])
      judge({ ...nothing, ...given, oom });
  });
});
