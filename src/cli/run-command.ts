/** Runs the commands that have options of their own, and answers what the script for tab completion asks. */
import yargs, { type Argv, type CompletionCallback, type Options, type PositionalOptions } from 'yargs';
import { closest } from '../config/closest.ts';
import { show } from '../config/show.ts';
import { ConfigError } from '../errors.ts';
import { Service } from './client.ts';
import { type AnyCommand, type Command, type Surroundings, usageOf } from './command.ts';
import { commandNamed, commands } from './commands/index.ts';
import type { Target } from './find.ts';
import { flagNames } from './flags.ts';

/** What yargs made of the words. */
type Parsed = Readonly<Record<string, unknown>>;

/**
 * @param words the command line, the command first
 * @throws PreforkError
 */
export async function runCommand(words: readonly string[], cwd: string, list = commands): Promise<void> {
  const complete = (
    current: string,
    _: unknown,
    byDefault: (then: CompletionCallback) => void,
    done: (words: string[]) => void,
  ): void =>
    byDefault((error, found) => {
      if (error !== null) throw error;
      done([...(found ?? []), ...furtherWords(words, current, list)]);
    });
  const parser = withTarget(yargs([...words], '/'))
    .scriptName('prefork')
    .usage('prefork <command> [options]')
    // Under a name that no one types: the command of that purpose is one of ours.
    .completion('yargs-completion', false, complete)
    .parserConfiguration({ 'parse-positional-numbers': false, 'camel-case-expansion': false })
    .demandCommand(1, 1)
    .strict()
    .help()
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      // yargs throws some of what is wrong with the words, and only tells of the rest.
      if (error !== undefined && error !== null && error.name !== 'YError') throw error;
      const own = called?.takes === 'its own options' ? { ...called.switches, ...called.values } : {};
      const known = [...targetOptions, ...Object.keys(own)];
      throw wrong(explained(firstLine(message ?? error.message), known, called));
    });
  const called = commandNamed(words[0], list);
  if (called?.takes === 'its own options') checkSwitches(words, called);
  for (const command of list) if (command.takes !== 'settings') declare(parser, command, cwd);
  await parser.parseAsync();
}

function wrong(message: string): ConfigError {
  return new ConfigError([{ setting: null, source: 'command line', message }]);
}

/** What yargs says, and the option that may be meant instead. */
function explained(message: string, known: readonly string[], called: AnyCommand | undefined): string {
  if (called !== undefined && /^Not enough non-option arguments/.test(message))
    return `not enough non-option arguments; it is prefork ${usageOf(called)}`;
  const [, unknown] = /^Unknown arguments?: ([\w-]+)/.exec(message) ?? [];
  const meant = unknown === undefined ? null : closest(unknown, known);
  const text = message.charAt(0).toLowerCase() + message.slice(1);
  return meant === null || meant === unknown ? text : `${text}; did you mean --${meant}?`;
}

/**
 * yargs takes whatever a switch is given for "false".
 *
 * @throws ConfigError if it is given something else than "true" or "false"
 */
function checkSwitches(words: readonly string[], { switches }: Command): void {
  for (const word of words) {
    const [, dashes = '', name = '', value = ''] = /^(--?)(?:no-)?([a-z-]+)=([\s\S]*)$/i.exec(word) ?? [];
    const found = Object.entries(switches).find(([long, { short }]) => name === (dashes === '-' ? short : long));
    if (found !== undefined && !/^(true|false)$/.test(value))
      throw wrong(`--${found[0]}: expected true or false, got ${show(value)}`);
  }
}

function declare(parser: Argv, command: Command, cwd: string): void {
  const options = Object.entries(command.switches).map(([name, { doc, short }]): [string, Options] => [
    name,
    { type: 'boolean', default: false, describe: doc, ...(short === undefined ? {} : { alias: short }) },
  ]);
  const values = Object.entries(command.values).map(([name, { doc, short }]): [string, Options] => [
    name,
    { type: 'string', requiresArg: true, describe: doc, ...(short === undefined ? {} : { alias: short }) },
  ]);
  const positionals = Object.entries(command.positionals).map(([name, need]): [string, PositionalOptions] => [
    name,
    { type: 'string', demandOption: need === 'required' },
  ]);
  parser.command(
    usageOf(command),
    command.help,
    (y) => {
      for (const [name, option] of positionals) y.positional(name, option);
      return y.options(Object.fromEntries([...options, ...values]));
    },
    async (parsed: Parsed) => {
      const given = [
        ...[...positionals, ...values].map(([name]) => [name, textIn(parsed, name)] as const),
        ...options.map(([name]) => [name, parsed[name] === true] as const),
      ];
      await command.run(Object.fromEntries(given), surroundingsFor(parsed, cwd));
    },
  );
}

function surroundingsFor(parsed: Parsed, cwd: string): Surroundings {
  const find = async (): Promise<string> => {
    const { findSocket } = await import('./find.ts');
    const text = (name: keyof Target) => textIn(parsed, name);
    return findSocket({ pid: text('pid'), socket: text('socket'), name: text('name'), config: text('config') }, cwd);
  };
  return { cwd, find, service: async () => new Service(await find()) };
}

function textIn(parsed: Parsed, name: string): string | null {
  const value = parsed[name];
  return typeof value === 'string' ? value : null;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

/**
 * What yargs does not know of here: a start has options too, and so have the commands that read them as a start does.
 *
 * @param words what the script for tab completion asks with, and then those of the command line so far
 */
function furtherWords(
  [, , first, ...others]: readonly string[],
  current: string,
  list: readonly AnyCommand[],
): readonly string[] {
  if (commandNamed(first, list)?.takes === 'its own options') return [];
  if (current.startsWith('-')) return flagNames;
  return others.length > 0 ? [] : list.flatMap(({ takes, name }) => (takes === 'settings' ? [name] : []));
}

/** The options that say which service is meant. */
const targetOptions = ['pid', 'socket', 'name', 'config'];

function withTarget(parser: Argv): Argv {
  const text = { type: 'string', requiresArg: true, global: true } as const;
  return parser
    .option('pid', { ...text, alias: 'p', describe: "The service's pidfile" })
    .option('socket', { ...text, describe: 'Its control socket' })
    .option('name', { ...text, alias: 'n', describe: 'Its name' })
    .option('config', { ...text, alias: 'c', describe: 'Its config file' });
}
