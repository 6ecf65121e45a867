/** What a terminal sends for its keys. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeKeys } from '../../../../src/cli/top/keys.ts';

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
