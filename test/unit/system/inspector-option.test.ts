/** Whether an inspector is asked for, and where, as Node reads its options. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectorAsked } from '../../../src/system/inspector-option.ts';

const cases: readonly (readonly [args: string, nodeOptions: string, expected: string | null])[] = [
  ['', '', null],
  ['--inspect-port=1234', '', null],
  ['--inspect-publish-uid=http', '', null],
  ['--no-inspect', '', null],
  ['--inspect', '', '127.0.0.1:9229'],
  ['--inspect-brk', '', '127.0.0.1:9229'],
  ['--inspect-wait=9300', '', '127.0.0.1:9300'],
  ['--inspect=9230', '', '127.0.0.1:9230'],
  ['--inspect=0', '', '127.0.0.1:0'],
  ['--inspect=0.0.0.0', '', '0.0.0.0:9229'],
  ['--inspect=0.0.0.0:9230', '', '0.0.0.0:9230'],
  ['--inspect=[::1]:9230', '', '[::1]:9230'],
  ['--inspect --inspect-port=9240', '', '127.0.0.1:9240'],
  ['--inspect --inspect-port 9240', '', '127.0.0.1:9240'],
  ['', '--max-old-space-size=100 --inspect=9250', '127.0.0.1:9250'],
  ['--inspect-port=9260', '--inspect=9250', '127.0.0.1:9260'],
];

for (const [args, nodeOptions, expected] of cases) {
  test(`HB-10 inspector: ${args} | ${nodeOptions} -> ${expected}`, () => {
    const asked = inspectorAsked(args === '' ? [] : args.split(' '), nodeOptions);
    assert.equal(asked === null ? null : `${asked.host}:${asked.port}`, expected);
  });
}
