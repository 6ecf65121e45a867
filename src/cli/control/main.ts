/** The commands for a running service: `prefork status`, `reload`, `stop` and the like. */
import yargs, { type Argv, type CompletionCallback } from 'yargs';
import { ConfigError } from '../../errors.ts';
import { flagNames } from '../flags.ts';
import { config, recycle, reload, reopen, scale, status, stop, upgrade, workers } from './commands.ts';
import { findSocket, type Target } from './find.ts';
import { init } from './init.ts';
import { commandNames } from './names.ts';

/** What yargs made of the words. */
type Given = Readonly<Record<string, unknown>>;

/** @throws PreforkError */
export async function runCommand(words: readonly string[], cwd: string): Promise<void> {
  const complete = (
    current: string,
    _: unknown,
    byDefault: (then: CompletionCallback) => void,
    done: (words: string[]) => void,
  ): void =>
    byDefault((error, found) => {
      if (error !== null) throw error;
      done([...(found ?? []), ...furtherWords(words, current)]);
    });
  const find = (given: Given): Promise<string> => {
    const text = (name: keyof Target) => (typeof given[name] === 'string' ? given[name] : null);
    return findSocket({ pid: text('pid'), socket: text('socket'), name: text('name'), config: text('config') }, cwd);
  };
  await targetOptions(yargs([...words], '/'))
    .scriptName('prefork')
    .usage('prefork <command> [options]')
    .command(
      'status',
      'How the service is',
      (y) => y.option('json', { type: 'boolean', default: false, describe: 'As JSON, see docs/control.md' }),
      async (given) => status(await find(given), given.json),
    )
    .command(
      'top',
      'Watch it live, and steer it by keys; ? shows which',
      (y) => y.option('once', { type: 'boolean', default: false, describe: 'Print one frame as plain text' }),
      async (given) => {
        const { top } = await import('../top/main.ts');
        await top(() => find(given), given.once);
      },
    )
    .command(
      'workers',
      'The workers, one a line',
      (y) => y.option('json', { type: 'boolean', default: false, describe: 'As JSON' }),
      async (given) => workers(await find(given), given.json),
    )
    .command('config', 'The settings in force; values of environment variables are not shown', {}, async (given) =>
      config(await find(given)),
    )
    .command(
      'reload',
      'Replace every worker, new before old',
      (y) =>
        y.option('wait', {
          type: 'boolean',
          default: false,
          describe: 'Wait for the outcome: exit 0 when it completed',
        }),
      async (given) => reload(await find(given), given.wait),
    )
    .command(
      'upgrade',
      'Replace the master itself, and with it every worker: a new prefork, a new Node',
      (y) =>
        y.option('wait', {
          type: 'boolean',
          default: false,
          describe: 'Wait for the outcome: exit 0 when the new master serves',
        }),
      async (given) => upgrade(await find(given), given.wait),
    )
    .command(
      'stop',
      'Stop the service, and wait until it is gone',
      (y) => y.option('now', { type: 'boolean', default: false, describe: 'Give requests in flight a second only' }),
      async (given) => stop(await find(given), given.now),
    )
    .command(
      'scale <amount>',
      'Change the number of workers: N, +N or -N',
      (y) => y.positional('amount', { type: 'string', demandOption: true }),
      async (given) => scale(await find(given), given.amount),
    )
    .command(
      'recycle [slot]',
      'Replace one worker, or all of them one by one',
      (y) => y.positional('slot', { type: 'string' }),
      async (given) => recycle(await find(given), given.slot ?? null),
    )
    .command('reopen', 'Reopen log files', {}, async (given) => reopen(await find(given)))
    .command(
      'init',
      'Write a supervisor.config.ts for the app in this folder',
      (y) => y.option('yes', { alias: 'y', type: 'boolean', default: false, describe: 'Ask nothing' }),
      (given) => init(cwd, given.yes),
    )
    .completion('completion', 'Print a script for tab completion', complete)
    .parserConfiguration({ 'parse-positional-numbers': false, 'camel-case-expansion': false })
    .demandCommand(1, 1)
    .strict()
    .help()
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      // yargs throws some of what is wrong with the words, and only tells of the rest.
      if (error !== undefined && error !== null && error.name !== 'YError') throw error;
      throw new ConfigError([
        { setting: null, source: 'command line', message: firstLine(message ?? error.message).toLowerCase() },
      ]);
    })
    .parseAsync();
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

/**
 * What yargs does not know of here: a start has options too, and `check` reads them as a start does.
 *
 * @param words what the script for tab completion asks with, and then those of the command line so far
 */
function furtherWords([, , first = '', ...others]: readonly string[], current: string): string[] {
  if (commandNames.has(first)) return [];
  if (current.startsWith('-')) return flagNames;
  return others.length === 0 ? ['check'] : [];
}

function targetOptions(y: Argv): Argv {
  const text = { type: 'string', requiresArg: true, global: true } as const;
  return y
    .option('pid', { ...text, alias: 'p', describe: "The service's pidfile" })
    .option('socket', { ...text, describe: 'Its control socket' })
    .option('name', { ...text, alias: 'n', describe: 'Its name' })
    .option('config', { ...text, alias: 'c', describe: 'Its config file' });
}
