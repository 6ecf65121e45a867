/** What people get wrong on the command line: each is one line, exit status 2, and nothing on the disk is changed. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../../support/command.ts';
import { project } from '../../support/config-harness.ts';

const anything = 'prefork ./server.js starts a service';
const noBoolean = (setting: string, got: string) => `command line: ${setting}: expected true or false, got '${got}'`;
const stray = (word: string, rest = '') =>
  `command line: unexpected argument ${word}: the app is ./app.cjs, and its own arguments follow --${rest}`;
const noCommand = (word: string, advice: string) =>
  `command line: there is no command ${word}, nor an app of that name; ${advice}`;

/** A command line, and what is said of it. */
const mistakes: readonly (readonly [words: string, says: string])[] = [
  // A boolean flag that is no boolean.
  ['./app.cjs --health=yes', noBoolean('health', 'yes')],
  ['./app.cjs --health=1', noBoolean('health', '1')],
  ['./app.cjs --health=', noBoolean('health', '')],
  ['./app.cjs --health=TRUE', noBoolean('health', 'TRUE')],
  ['./app.cjs --metrics off', noBoolean('metrics', 'off')],
  ['--metrics no ./app.cjs', noBoolean('metrics', 'no')],
  ['./app.cjs --upgrade-by-hand=maybe', noBoolean('upgradeByHand', 'maybe')],
  ['./app.cjs -D=on', noBoolean('daemon', 'on')],
  ['./app.cjs -D 1', noBoolean('daemon', '1')],
  ['check ./app.cjs --health=yes', noBoolean('health', 'yes')],
  ['reload --wait=yes', "command line: --wait: expected true or false, got 'yes'"],
  ['init -y=1', "command line: --yes: expected true or false, got '1'"],
  // Values that are none.
  [
    './app.cjs -w 1e3',
    "command line: workers: expected a whole number from 1 to 1024, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8, got '1e3'",
  ],
  [
    './app.cjs -w 0x10',
    "command line: workers: expected a whole number from 1 to 1024, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8, got '0x10'",
  ],
  [
    './app.cjs -w 4.5',
    "command line: workers: expected a whole number from 1 to 1024, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8, got '4.5'",
  ],
  [
    './app.cjs -w -5',
    "command line: workers: expected a whole number from 1 to 1024, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8, got '-5'",
  ],
  [
    './app.cjs -w 0',
    "command line: workers: expected a whole number from 1 to 1024, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8, got '0'",
  ],
  [
    './app.cjs -w 2 -w many',
    "command line: workers: expected a whole number from 1 to 1024, auto, or a range such as { min: 2, max: 8 }, on the command line 2-8, got 'many'",
  ],
  ['./app.cjs -w', 'command line: option -w needs a value'],
  [
    './app.cjs --workers --health',
    'command line: option --workers needs a value (--workers=VALUE if it begins with a dash)',
  ],
  ['./app.cjs --name=', "command line: name: expected a string that is not empty, got ''"],
  [
    './app.cjs -p 8000',
    "command line: pidfile: expected the path of a file (an address is given by --bind, -b), got '8000'",
  ],
  [
    './app.cjs --pid :8000',
    "command line: pidfile: expected the path of a file (an address is given by --bind, -b), got ':8000'",
  ],
  // Options there are none of.
  ['./app.cjs --timeuot 3', 'command line: unknown option --timeuot; did you mean --timeout?'],
  ['./app.cjs --helth', 'command line: unknown option --helth; did you mean --health?'],
  ['./app.cjs --no-workers', 'command line: unknown option --no-workers; did you mean --workers?'],
  ['reload --wiat', 'command line: unknown argument: wiat; did you mean --wait?'],
  // A stray argument.
  ['./app.cjs other.js', stray('other.js')],
  ['./app.cjs 8000', stray('8000', '; an address is given by --bind (-b)')],
  ['./app.cjs 127.0.0.1:80', stray('127.0.0.1:80', '; an address is given by --bind (-b)')],
  ['check ./app.cjs other.js -- more', stray('other.js')],
  ['heap', 'command line: not enough non-option arguments; it is prefork heap <slot>'],
  ['reload now', 'command line: unknown argument: now'],
  // An unknown command.
  ['relaod', noCommand('relaod', 'did you mean reload?')],
  ['relod', noCommand('relod', 'did you mean reload?')],
  ['Reload', noCommand('Reload', 'did you mean reload?')],
  ['relaod --wait -p app.pid', noCommand('relaod', 'did you mean reload?')],
  ['stat', noCommand('stat', 'did you mean status?')],
  ['start ./app.cjs', noCommand('start', anything)],
  ['restart', noCommand('restart', 'prefork reload replaces every worker')],
  ['help', noCommand('help', 'see prefork --help')],
  [
    'frobnicate',
    'command line: app: expected the file of the app, got <folder>/frobnicate, which does not exist; if it is meant as a command, prefork --help lists them',
  ],
  // An app that is not there.
  [
    './ap.cjs',
    'command line: app: expected the file of the app, got <folder>/ap.cjs, which does not exist; did you mean app.cjs?',
  ],
  ['./nowhere.js', 'command line: app: expected the file of the app, got <folder>/nowhere.js, which does not exist'],
];

describe('a mistake on the command line', () => {
  for (const [words, says] of mistakes) {
    it(`prefork ${words}`, async (t) => {
      const cwd = project(t);
      const before = contentsOf(cwd);
      const { code, stdout, stderr } = await runCommand(words.split(' '), { cwd, env: environment });
      assert.deepEqual([code, stdout, stderr.replaceAll(cwd, '<folder>')], [2, '', `prefork: ${says}\n`]);
      assert.deepEqual(contentsOf(cwd), before);
    });
  }

  it('in PREFORK_CMD_ARGS is one too, and says where it is', async (t) => {
    const cwd = project(t);
    const env = { ...environment, PREFORK_CMD_ARGS: './app.cjs more --health=yes' };
    const { code, stderr } = await runCommand(['check'], { cwd, env });
    assert.equal(code, 2);
    assert.deepEqual(stderr.split('\n'), [
      'prefork: PREFORK_CMD_ARGS: unexpected argument more: the app is ./app.cjs, and its own arguments follow --',
      "prefork: PREFORK_CMD_ARGS: health: expected true or false, got 'yes'",
      '',
    ]);
  });
});

describe('a directory whose package.json names a file that is not there', () => {
  it('says which', async (t) => {
    const cwd = project(t, { 'd/package.json': '{ "main": "gone.js" }' });
    const { code, stderr } = await runCommand(['./d'], { cwd, env: environment });
    assert.deepEqual(
      [code, stderr.replaceAll(cwd, '<folder>')],
      [
        2,
        'prefork: command line: app: expected the file of the app, got <folder>/d, which is a directory without an index file and whose package.json names a "main" that does not exist, gone.js\n',
      ],
    );
  });
});

describe('what is no mistake', () => {
  const fine: readonly string[] = [
    'app.cjs --health=true',
    'app.cjs --health false',
    '--health true app.cjs',
    'app.cjs --no-health',
    'app.cjs --daemon=false',
    'app.cjs -w2 -w 3',
    'app.cjs -w=3',
    'app.cjs -- --health=yes other.js 8000',
    'app',
  ];
  for (const words of fine) {
    it(`prefork check ${words}`, async (t) => {
      const { code, stdout, stderr } = await runCommand(['check', ...words.split(' ')], {
        cwd: project(t),
        env: environment,
      });
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^OK/);
    });
  }
});

describe('a time that looks like milliseconds', () => {
  const doubtful: readonly (readonly [words: string, says: string | null])[] = [
    ['-t 30000', 'timeout: 30000 are seconds, 8 h 20 min; if milliseconds are meant: did you mean 30s?'],
    ['--keep-alive=5000', 'keepAlive: 5000 are seconds, 1 h 23 min; if milliseconds are meant: did you mean 5s?'],
    [
      '--graceful-timeout 1500',
      'gracefulTimeout: 1500 are seconds, 25 min; if milliseconds are meant: did you mean 1.5s?',
    ],
    ['-t 3600', null],
    ['-t 30', null],
    ['-t 30000ms', null],
    ['-t 50m', null],
    // Where hours are usual.
    ['--max-lifetime 10000', null],
  ];
  for (const [words, says] of doubtful) {
    it(words, async (t) => {
      const { code, stderr } = await runCommand(['check', './app.cjs', ...words.split(' ')], {
        cwd: project(t),
        env: environment,
      });
      assert.deepEqual([code, stderr], [0, says === null ? '' : `prefork: note: command line: ${says}\n`]);
    });
  }
});

/** What the tests' own environment sets must not matter. */
const environment = {
  PORT: undefined,
  WEB_CONCURRENCY: undefined,
  PREFORK_CMD_ARGS: undefined,
  NODE_TEST_CONTEXT: undefined,
};

function contentsOf(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const),
  );
}
