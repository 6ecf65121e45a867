/** What is read from the words of a command line, and from PREFORK_CMD_ARGS. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseWords } from '../../../src/cli/parse.ts';
import { splitWords } from '../../../src/cli/words.ts';
import { ConfigError } from '../../../src/errors.ts';

const read = (...words: string[]) => parseWords(words, 'command line');
const valuesOf = (...words: string[]) => ({ ...read(...words).values });

describe('flags', () => {
  it('have long and short names, and values beside or behind =', () => {
    for (const words of [['-w', '4'], ['-w4'], ['-w=4'], ['--workers', '4'], ['--workers=4']]) {
      assert.deepEqual(valuesOf(...words), { workers: '4' }, words.join(' '));
    }
    assert.deepEqual(valuesOf('-p', 'a.pid', '-n', 'shop', '-t', '5'), {
      name: 'shop',
      pidfile: 'a.pid',
      timeout: '5',
    });
    assert.deepEqual(valuesOf('--graceful-timeout', '1', '--pid', 'x'), { gracefulTimeout: '1', pidfile: 'x' });
  });

  it('stay text, whatever they look like', () => {
    assert.deepEqual(valuesOf('-w', '0x10'), { workers: '0x10' });
    assert.deepEqual(valuesOf('-w=abc'), { workers: 'abc' });
    assert.deepEqual(valuesOf('-wabc'), { workers: 'abc' });
    assert.deepEqual(valuesOf('--workers='), { workers: '' });
    assert.deepEqual(valuesOf('--timeout', '-5'), { timeout: '-5' });
    assert.deepEqual(valuesOf('-n', 'true', '--release', '1e3'), { name: 'true', release: '1e3' });
    assert.deepEqual(valuesOf('-t-5'), { timeout: '-5' });
  });

  it('that are given twice: the last holds, or each where there may be several', () => {
    assert.deepEqual(valuesOf('-w', '2', '--workers', '3', '-w4'), { workers: '4' });
    assert.deepEqual(valuesOf('-b', ':1', '--bind=unix:/a', '-b:2'), { bind: [':1', 'unix:/a', ':2'] });
    assert.deepEqual(valuesOf('-e', 'A=1', '-eB=2=3'), { env: ['A=1', 'B=2=3'] });
    assert.deepEqual(valuesOf('--node-arg=--a', '--node-arg=--b'), { nodeArgs: ['--a', '--b'] });
    assert.equal(read('-c', 'a.ts', '--config', 'b.ts').configFile, 'b.ts');
    assert.equal(read().configFile, null);
  });

  it("end at --; all that follows is the app's", () => {
    const { positionals, rest, values, problems } = read(
      'app.js',
      'one',
      '-w',
      '2',
      '--',
      '-w',
      '3',
      '--nope',
      '--',
      '-wx',
    );
    assert.deepEqual(positionals, ['app.js', 'one']);
    assert.deepEqual(rest, ['-w', '3', '--nope', '--', '-wx']);
    assert.deepEqual([values, problems], [{ workers: '2' }, []]);
  });

  it('leave numbers alone that are arguments', () => {
    assert.deepEqual(read('app.js', '08', '1e3').positionals, ['app.js', '08', '1e3']);
  });

  it('without their value are said to lack it', () => {
    const cases: readonly (readonly [string[], RegExp])[] = [
      [['app.js', '-w'], /^command line: option -w needs a value$/],
      [['app.js', '--workers'], /^command line: option --workers needs a value/],
      [
        ['--node-arg', '--max-old-space-size=9'],
        /--node-arg needs a value \(--node-arg=VALUE if it begins with a dash\)$/,
      ],
      [['-w', '--', 'x'], /^command line: option -w needs a value$/],
    ];
    for (const [words, message] of cases) {
      assert.throws(
        () => read(...words),
        (error) => error instanceof ConfigError && message.test(error.message),
      );
    }
  });

  it('that are unknown are all named, with what may have been meant', () => {
    const cases = {
      '--worker': 'unknown option --worker; did you mean --workers?',
      '--graceful_timeout': 'unknown option --graceful_timeout; did you mean --graceful-timeout?',
      '--gracefulTimeout': 'unknown option --gracefulTimeout; did you mean --graceful-timeout?',
      '--max-request': 'unknown option --max-request; did you mean --max-requests?',
      '--instances': 'unknown option --instances; did you mean --workers?',
      '--pidfile': 'unknown option --pidfile; did you mean --pid?',
      '--worker-class': 'unknown option --worker-class: there is one kind of worker: a Node process',
      '--preload-app': 'unknown option --preload-app: Node cannot fork a loaded app; every worker loads it',
      '--app': 'unknown option --app; the app and its arguments are given without an option',
      '--no-workers': 'unknown option --no-workers; did you mean --workers?',
      '--flurb': 'unknown option --flurb; prefork --help lists them all',
      '-x': 'unknown option -x; prefork --help lists them all',
      '--__proto__': 'unknown option --___proto___; prefork --help lists them all',
      '--constructor.prototype.x': 'unknown option --constructor.prototype.x; prefork --help lists them all',
    };
    const { problems } = read(...Object.keys(cases));
    assert.deepEqual(
      problems.map(({ message }) => message),
      Object.values(cases),
    );
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  it('that are unknown cannot fill the screen', () => {
    const [problem] = read(`--${'x\n'.repeat(1e5)}`).problems;
    assert.ok(problem !== undefined && problem.message.length < 200 && !problem.message.includes('\n'));
  });
});

describe('PREFORK_CMD_ARGS', () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    '': [],
    '  \t\n ': [],
    '-w 2  --name\tx': ['-w', '2', '--name', 'x'],
    '-n \'two words\' -n "two words"': ['-n', 'two words', '-n', 'two words'],
    "-n ''": ['-n', ''],
    '"" \'\'': ['', ''],
    'a\'b c\'d"e f"g': ['ab cde fg'],
    'two\\ words \\"x\\\'': ['two words', '"x\''],
    '"a\\"b\\\\c\\$d\\n"': ['a"b\\c$d\\n'],
    "'a\\b'": ['a\\b'],
    'end\\': ['end\\'],
    '$HOME `id` ; | & *': ['$HOME', '`id`', ';', '|', '&', '*'],
  };
  for (const [text, words] of Object.entries(cases)) {
    it(`splits ${JSON.stringify(text)} as a shell would`, () => {
      assert.deepEqual(splitWords(text), words);
    });
  }

  for (const text of ["-n 'x", '-n "x', '"a\\"', "a'"]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => splitWords(text), /^ConfigError: PREFORK_CMD_ARGS: a ['"] is not closed$/);
    });
  }
});
