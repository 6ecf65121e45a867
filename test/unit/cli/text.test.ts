/** How wide text on a terminal is, and that nothing in it steers the terminal. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cut, fit, join, widthOf } from '../../../src/cli/text.ts';
import { plain } from '../../../src/system/plain.ts';

const esc = '\u001b';

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
});
