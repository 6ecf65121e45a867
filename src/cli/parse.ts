/** The words of a command line, as yargs reads them; all of yargs is in here. */
import yargs, { type Argv } from 'yargs';
import type { Table } from '../config/settings/setting.ts';
import { settings } from '../config/settings.ts';
import { ConfigError } from '../errors.ts';
import { asOption, declareFlags, type Flags, readFlags, spellOut } from './flags.ts';

/**
 * @param source for messages: `command line` or `PREFORK_CMD_ARGS`
 * @throws ConfigError if an option lacks its value
 */
export function parseWords(words: readonly string[], source: string, table: Table = settings): Flags {
  const parser = declareFlags(newParser(), table)
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'boolean-negation': false,
      'populate--': true,
      'strip-aliased': true,
    })
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      const [, name] = /^Not enough arguments following: (\S+)/.exec(message ?? '') ?? [];
      if (name === undefined) throw error ?? new Error(message);
      const form = name.length === 1 ? '' : ` (${asOption(name)}=VALUE if it begins with a dash)`;
      throw new ConfigError([{ setting: null, source, message: `option ${asOption(name)} needs a value${form}` }]);
    });
  return readFlags(parser.parseSync(spellOut(words, table)) as Record<string, unknown>, source, table);
}

/** yargs would look for a package.json in the working directory, which may be gone. */
function newParser(): Argv {
  return yargs([], '/');
}

/** What `--help` prints. @param usage how the commands are called, a line each */
export async function helpText(columns: number, usage: string, table: Table = settings): Promise<string> {
  const text = await declareFlags(newParser(), table)
    .scriptName('prefork')
    .usage(usage)
    .help('help', 'Show this')
    .version('version', 'Show the version', '')
    .alias({ h: 'help', v: 'version' })
    .example('prefork ./server.js', 'serve an app that listens by itself')
    .example('prefork ./app.js:createApp -b :8000 -w 4', 'serve what a named export gives')
    .example('kill -HUP $(cat app.pid)', 'reload it, without losing a request')
    .epilogue(
      'Times are seconds, or 500ms, 30s, 5m, 2h. Sizes are bytes, or 512MB, 2GB. [Defaults] are in brackets.\n' +
        'Order: defaults, WEB_CONCURRENCY and PORT, the config file, PREFORK_CMD_ARGS, the command line.',
    )
    .wrap(columns)
    .getHelp();
  // That an option takes a string says nothing here.
  return text.replace(/\s+\[(?:string|boolean)\]$/gm, '');
}
