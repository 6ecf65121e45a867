/** What an app has thrown, in words. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { framesOf } from '../../../../src/protocol/error-text.ts';
import { describeThrown, unshowable } from '../../../../src/worker/dying/thrown.ts';

const refused = (address: string): Error => new Error(`connect ECONNREFUSED ${address}`);

describe('what was thrown', () => {
  for (const [title, thrown, expected] of [
    ['an error', new RangeError('too long'), ['RangeError', 'too long', null]],
    [
      'an error with causes, each of which may be anything',
      new Error('no order', { cause: new TypeError('fetch failed', { cause: { code: 'ECONNRESET' } }) }),
      ['Error', 'no order', "cause: TypeError: fetch failed (cause: { code: 'ECONNRESET' })"],
    ],
    [
      'an error that stands for others, as that of a connection to a name with several addresses does',
      new AggregateError([refused('::1:5432'), refused('127.0.0.1:5432')]),
      ['AggregateError', '', 'Error: connect ECONNREFUSED ::1:5432; Error: connect ECONNREFUSED 127.0.0.1:5432'],
    ],
    [
      'many others',
      new AggregateError(['a', 'b', 'c', 'd', 'e'], 'none'),
      ['AggregateError', 'none', 'a; b; c; 2 more'],
    ],
    ['a text', 'no stock', ['', 'no stock', null]],
    [
      'an object',
      { code: 'E_STOCK', of: { deep: { er: 1 } } },
      ['', "{ code: 'E_STOCK', of: { deep: [Object] } }", null],
    ],
    ['nothing', undefined, ['', 'undefined', null]],
    ['null', null, ['', 'null', null]],
  ] as const) {
    it(`WHY-01 ${title}`, () => {
      const { name, message, because } = describeThrown(thrown);
      assert.deepEqual([name, message, because], expected);
    });
  }

  it('WHY-01 what is hostile or endless', () => {
    const endless = new Error('round');
    endless.cause = endless;
    assert.ok((describeThrown(endless).because ?? '').length < 100);
    const trap = new Proxy(new Error('x'), {
      get: () => {
        throw new Error('no');
      },
    });
    assert.deepEqual(describeThrown(trap), { name: '', message: unshowable, because: null });
    assert.ok(describeThrown('x'.repeat(100_000)).message.length <= 300);
    assert.ok(describeThrown({ a: 'x'.repeat(100_000) }).message.length <= 300);
  });

  it('WHY-02 the frames of a stack are without what Node prints after them', () => {
    assert.deepEqual(framesOf("Error: x\n    at a (/srv/a.js:1:2)\n    at b (/srv/b.js:3:4) {\n  code: 'E'\n}"), [
      'at a (/srv/a.js:1:2)',
      'at b (/srv/b.js:3:4)',
    ]);
  });
});
