/** The file of `envFile`, in all the ways in which people write one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readEnvFile } from '../../../src/config/env-file.ts';
import { project } from '../../support/config-harness.ts';

function read(t: TestContext, text: string): { found: Record<string, string>; complaints: string[] } {
  const complaints: string[] = [];
  const path = join(project(t, { 'app.env': text }), 'app.env');
  return { found: readEnvFile(path, (message) => complaints.push(message.replace(path, 'app.env'))), complaints };
}

describe('envFile', () => {
  const good: readonly (readonly [what: string, text: string, expected: Record<string, string>])[] = [
    [
      'comments, blank lines and export',
      '# one\n\n  # two\nA=1 # three\nexport B=2\nexport \t C=3\n',
      { A: '1', B: '2', C: '3' },
    ],
    ['quotes', `A="x # y"\nB='$A \\n'\nC=\`it's\`\nD="a\\nb"\n`, { A: 'x # y', B: '$A \\n', C: "it's", D: 'a\nb' }],
    ['blanks around the sign and the value', '  A =  1  \nB=\nC="  "\n', { A: '1', B: '', C: '  ' }],
    [
      'signs and quotes in a value',
      'A=b=c\nURL=http://x/?q="y\nL=it\'s\n',
      { A: 'b=c', URL: 'http://x/?q="y', L: "it's" },
    ],
    ['a value of several lines', 'KEY="-----\nabc=\n-----"\nA=1\n', { KEY: '-----\nabc=\n-----', A: '1' }],
    ['a quote that nothing closes', 'A="x\nB=2\n', { A: '"x', B: '2' }],
    ['line ends of Windows', 'A=1\r\nexport B="2"\r\n\r\n# x\r\nC=3\r\n', { A: '1', B: '2', C: '3' }],
    ['a byte order mark', '\uFEFFA=1\nB=2\n', { A: '1', B: '2' }],
    ['the later of two', 'A=1\nA=2\n', { A: '2' }],
    ['no line end at the end', 'A=1', { A: '1' }],
    ['names that objects have', '__proto__=1\nconstructor=2\n', JSON.parse('{"__proto__":"1","constructor":"2"}')],
  ];
  for (const [what, text, expected] of good) {
    it(what, (t) => assert.deepEqual(read(t, text), { found: expected, complaints: [] }));
  }

  it('a line that is none is named, also behind a value in quotes', (t) => {
    const bad: readonly (readonly [text: string, line: number])[] = [
      ['A=1\nOOPS\n', 2],
      ['KEY="a\nb"\nOOPS no\nA=1\n', 3],
      ['A=x"y\nURL=?q="y\nZZ bad\n', 3],
      ['1A=x\n', 1],
      ['A B=x\n', 1],
    ];
    for (const [text, number] of bad) {
      const expected = { found: {}, complaints: [`app.env:${number}: expected NAME=value`] };
      assert.deepEqual(read(t, text), expected, JSON.stringify(text));
    }
  });
});
