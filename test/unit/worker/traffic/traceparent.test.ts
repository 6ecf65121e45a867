/** The examples and the rules of https://www.w3.org/TR/trace-context/#traceparent-header. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTraceparent } from '../../../../src/worker/traffic/traceparent.ts';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';
const good = `00-${trace}-${span}-01`;

describe('TRC-01: traceparent', () => {
  it('is taken apart', () => {
    assert.deepEqual(parseTraceparent(good), { traceId: trace, spanId: span, flags: '01' });
    assert.equal(parseTraceparent(`00-${trace}-${span}-00`)?.flags, '00');
    // Flags that version 00 does not know are no reason to refuse it.
    assert.equal(parseTraceparent(`00-${trace}-${span}-ff`)?.flags, 'ff');
    assert.equal(parseTraceparent(`00-${trace}-0000000000000001-01`)?.spanId, '0000000000000001');
  });

  it('of a later version is read as far as it is known', () => {
    for (const later of [
      `cc-${trace}-${span}-01`,
      `01-${trace}-${span}-01-what-the-future-brings`,
      `fe-${trace}-${span}-01-`,
    ])
      assert.deepEqual(parseTraceparent(later), { traceId: trace, spanId: span, flags: '01' }, later);
  });

  const wrong: Readonly<Record<string, unknown>> = {
    none: undefined,
    'an empty one': '',
    'a list': [good],
    'version ff': `ff-${trace}-${span}-01`,
    'a trace id of zeros': `00-${'0'.repeat(32)}-${span}-01`,
    'a span id of zeros': `00-${trace}-${'0'.repeat(16)}-01`,
    'capital letters in the trace id': `00-${trace.toUpperCase()}-${span}-01`,
    'capital letters in the span id': `00-${trace}-${span.toUpperCase()}-01`,
    'capital letters in the flags': `00-${trace}-${span}-0A`,
    'capital letters in the version': `0A-${trace}-${span}-01`,
    'a letter that is no digit': `00-${trace.replace('b', 'g')}-${span}-01`,
    'a short trace id': `00-${trace.slice(1)}-${span}-01`,
    'a short version': `0-${trace}-${span}-01`,
    'no flags': `00-${trace}-${span}`,
    'one digit of flags': `00-${trace}-${span}-1`,
    'more than version 00 has': `${good}-more`,
    'a dash more than version 00 has': `${good}-`,
    'a later version with something else than a dash': `01-${trace}-${span}-01.more`,
    'two in one': `${good}, ${good}`,
    'two of a later version': `01-${trace}-${span}-01, 01-${trace}-${span}-01`,
    'white space before it': ` ${good}`,
    'white space behind it': `${good} `,
    'a line end behind it': `${good}\n`,
    'other dashes': good.replaceAll('-', '\u2013'),
    'digits of another script': good.replace('0', '\u0660'),
    'a very long one': '0'.repeat(1e6),
  };
  for (const [what, value] of Object.entries(wrong)) {
    it(`is not taken from ${what}`, () => assert.equal(parseTraceparent(value), null));
  }
});
