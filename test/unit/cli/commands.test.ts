/** The list of commands: a command that is added to it arrives everywhere. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { command } from '../../../src/cli/command.ts';
import { commandNamed, commands } from '../../../src/cli/commands/index.ts';
import { overview } from '../../../src/cli/overview.ts';
import { helpText } from '../../../src/cli/parse.ts';
import { runCommand } from '../../../src/cli/run-command.ts';
import { ConfigError } from '../../../src/errors.ts';

const root = new URL('../../../src/', import.meta.url);

/** As a newcomer adds it: one file, and its name in the list. */
function greeting(calls: unknown[] = []) {
  const greet = command({
    name: 'greet',
    help: 'Say hello to a worker',
    positionals: { worker: 'required', times: 'optional' },
    switches: { loud: { doc: 'Say it so that all workers hear it', short: 'l' } },
    async run({ worker, times, loud }, { cwd }) {
      calls.push({ worker, times, loud, cwd });
    },
  });
  return [...commands, greet];
}

/** What it prints. */
async function printed(t: TestContext, words: readonly string[], list = greeting()): Promise<string> {
  const log = t.mock.method(console, 'log', () => {});
  await runCommand(words, '/', list);
  const text = log.mock.calls.map((call) => String(call.arguments[0])).join('\n');
  log.mock.restore();
  return text;
}

describe('a command that is added to the list', () => {
  it('is called by its word; a file of that name is served as ./greet', () => {
    assert.equal(commandNamed('greet', greeting())?.name, 'greet');
    for (const word of ['./greet', 'greet.js', '-c', '', undefined])
      assert.equal(commandNamed(word, greeting()), undefined);
    assert.equal(commandNamed('greet'), undefined);
  });

  it('is in the overview, and with it in prefork --help', async () => {
    const line = /^prefork greet <worker> \[times\] {2}say hello to a worker$/m;
    assert.match(overview(greeting()), line);
    assert.match(await helpText(100, overview(greeting())), line);
  });

  it('has a help of its own', async (t) => {
    const help = await printed(t, ['greet', '--help']);
    assert.match(help, /^prefork greet <worker> \[times\]\n\nSay hello to a worker\n/);
    assert.match(help, /-l, --loud +Say it so that all workers hear it/);
    assert.match(help, /-p, --pid +/);
  });

  it('is given what stands on the command line, and nothing else is taken', async () => {
    const calls: unknown[] = [];
    await runCommand(['greet', '007', '-l'], '/srv', greeting(calls));
    await runCommand(['greet', '007', '3'], '/srv', greeting(calls));
    assert.deepEqual(calls, [
      { worker: '007', times: null, loud: true, cwd: '/srv' },
      { worker: '007', times: '3', loud: false, cwd: '/srv' },
    ]);
    for (const words of [['greet'], ['greet', '1', '--lud'], ['greet', '1', '2', '3']])
      await assert.rejects(runCommand(words, '/', greeting()), ConfigError, words.join(' '));
    assert.equal(calls.length, 2);
  });

  it('is completed by Tab, with its options', async (t) => {
    const wordsFor = async (...words: string[]): Promise<string[]> =>
      (await printed(t, ['--get-yargs-completions', 'prefork', ...words])).split('\n');
    assert.ok((await wordsFor('gr')).includes('greet'));
    assert.ok((await wordsFor('greet', '--')).includes('--loud'));
  });
});

/** The modules that a module takes values from at once, and theirs. */
function loadedBy(url: URL, seen = new Set<string>()): ReadonlySet<string> {
  const text = readFileSync(url, 'utf8');
  for (const [, from = ''] of text.matchAll(/^(?:import|export) (?!type )(?:[^;']*? from )?'([^']+)';/gm)) {
    const found = from.startsWith('.') ? new URL(from, url) : null;
    const name = found === null ? from : found.href.slice(root.href.length);
    if (seen.has(name)) continue;
    seen.add(name);
    if (found !== null) loadedBy(found, seen);
  }
  return seen;
}

describe('the commands', () => {
  it('are light: what is heavy is loaded by the one that runs', () => {
    const loaded = [...loadedBy(new URL('cli/commands/index.ts', root))];
    const files = commands.map(({ name }) => `cli/commands/${name}.ts`);
    const others = loaded.filter((name) => !files.includes(name) && !name.startsWith('node:'));
    assert.deepEqual(others.sort(), ['cli/command.ts', 'errors.ts']);
    assert.ok(loadedBy(new URL('cli/find.ts', root)).has('config/load.ts'), 'the search itself finds what is loaded');
  });

  it('have names and helps that fit', () => {
    const names = commands.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const line of overview().split('\n')) assert.ok(line.length <= 100, line);
    for (const { name, help } of commands) {
      assert.match(name, /^[a-z]+$/);
      assert.match(help, /^[A-Z].*[^.]$/);
    }
  });
});
