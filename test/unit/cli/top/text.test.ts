/** What a terminal sends, and how wide what is sent to it is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, milliseconds, percent, rate } from '../../../../src/cli/top/columns.ts';
import { decodeKeys } from '../../../../src/cli/top/keys.ts';
import { cut, fit, join, plain, widthOf } from '../../../../src/cli/top/text.ts';

const esc = '\u001b';

describe('keys', () => {
  it('are decoded one by one', () => {
    const text = `q${esc}[A${esc}OB${esc}[5~${esc}[6~+\u0003é👍`;
    assert.deepEqual(decodeKeys(text), {
      keys: ['q', 'up', 'down', 'page-up', 'page-down', '+', 'ctrl-c', 'é', '👍'],
      rest: '',
    });
  });

  it('no part of a sequence is taken for a key: a modified arrow, a report, a function key', () => {
    const text = `${esc}[1;5C${esc}[?1;2c${esc}OP${esc}[15~${esc}[<0;3;4Mx`;
    assert.deepEqual(decodeKeys(text), { keys: ['x'], rest: '' });
  });

  it('wait for the end of a sequence', () => {
    for (const part of [esc, `${esc}[`, `${esc}[5`, `${esc}O`])
      assert.deepEqual(decodeKeys(`r${part}`), { keys: ['r'], rest: part });
    assert.deepEqual(decodeKeys(`${esc}q`), { keys: ['escape', 'q'], rest: '' });
    assert.deepEqual(decodeKeys(`${esc}[5\u0003`), { keys: ['ctrl-c'], rest: '' });
  });
});

describe('texts', () => {
  it('are as wide as a terminal draws them', () => {
    assert.deepEqual(
      ['', 'abc', '店舗', 'é', 'e\u0301', '👍', '한글', 'ｗ', '…'].map(widthOf),
      [0, 3, 4, 1, 1, 2, 4, 2, 1],
    );
    assert.deepEqual(
      [cut('店舗の名前', 5), cut('abcdef', 4), cut('abc', 3), cut('abc', 0)],
      ['店舗~', 'abc~', 'abc', ''],
    );
    assert.deepEqual(
      [fit('店舗', 6, 'left'), fit('店舗の', 4, 'right'), fit('7', 3, 'right')],
      ['店舗  ', ' 店~', '  7'],
    );
    assert.equal(join(['ab', 'cd', 'ef'], 6), 'ab  cd');
  });

  it('steer nothing', () => {
    assert.equal(plain(`a${esc}[2Jb\r\nc\u202ed\u200be\u2028f\ud800g\u009bh`), 'a [2Jb cde fg h');
    assert.ok(plain(`a${'\u0338'.repeat(500)}`).length <= 4);
  });

  it('figures are short, whatever they are', () => {
    assert.deepEqual([0, 9.94, 9.96, 999, 1_500, 123_456].map(milliseconds), [
      '0.0ms',
      '9.9ms',
      '10ms',
      '999ms',
      '1.5s',
      '123s',
    ]);
    assert.deepEqual([0, 5 * 2 ** 20, 999 * 2 ** 20, 1_024 * 2 ** 20].map(bytes), ['-', '5.0MB', '999MB', '1.0GB']);
    assert.deepEqual([rate(0), rate(999.94), rate(12_345.6), percent(0.426)], ['0.0', '999.9', '12346', '43%']);
  });
});
