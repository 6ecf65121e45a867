import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foregroundOf } from '../../../src/system/terminal.ts';

test('terminal: a process is in the foreground if its group is the one that its terminal talks to', () => {
  const stat = (group: number, terminal: number, foreground: number, name = 'node') =>
    `77 (${name}) S 1 ${group} 70 ${terminal} ${foreground} 4194304 0 0`;
  assert.equal(foregroundOf(stat(77, 34_816, 77)), true);
  assert.equal(foregroundOf(stat(77, 34_816, 99)), false);
  assert.equal(foregroundOf(stat(77, 0, -1)), false);
  assert.equal(foregroundOf(stat(77, 34_816, -1)), false);
  assert.equal(foregroundOf(stat(77, 34_816, 77, 'prefork: master [a) S 1 2 3 0 -1 (b]')), true);
  for (const odd of ['', '77', '77 (node)']) assert.equal(foregroundOf(odd), false);
});
