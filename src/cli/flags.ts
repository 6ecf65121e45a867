/** The flags, made from the table of settings, and what is read from them. Values stay strings: they are checked later. */
import type { Argv, Options } from 'yargs';
import type { Setting, Table } from '../config/settings/setting.ts';
import { defaultText, docText, flagOf, hasFlag, settings } from '../config/settings.ts';
import { shorten } from '../config/show.ts';
import { suggest } from '../config/suggest.ts';
import type { Problem } from '../errors.ts';

/** What was given on a command line, or in PREFORK_CMD_ARGS. */
export interface Flags {
  readonly configFile: string | null;
  /** Settings by name. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Not options: the app, or a command, and arguments of the app. */
  readonly positionals: readonly string[];
  /** What follows `--`. */
  readonly rest: readonly string[];
  /** Where they stand, for messages: `command line` or `PREFORK_CMD_ARGS`. */
  readonly source: string;
  /** Options there are none of. */
  readonly problems: readonly Problem[];
}

interface Flag {
  readonly name: string;
  readonly setting: Setting;
  /** Without its dashes. */
  readonly long: string;
}

function flagsOf(table: Table): Flag[] {
  return Object.entries(table)
    .filter(([, setting]) => hasFlag(setting))
    .map(([name, setting]) => ({ name, setting, long: flagOf(name, setting) }));
}

/** The flag that names the config file, which is not a setting. */
const config = { long: 'config', short: 'c' };

/** Of a start, with their dashes. */
export const flagNames = flagsOf(settings).map(({ long }) => `--${long}`);

export function declareFlags(yargs: Argv, table: Table): Argv {
  const options: Record<string, Options> = {
    [config.long]: {
      alias: config.short,
      type: 'string',
      requiresArg: true,
      group: 'Service:',
      describe: 'Config file [supervisor.config.{ts,mts,js,mjs,cjs}]',
    },
  };
  for (const { long, setting } of flagsOf(table)) {
    const { short, group } = setting;
    options[long] = {
      ...(short === undefined ? {} : { alias: short }),
      // A string, so that errors are ours and say where a value comes from.
      type: 'string',
      requiresArg: true,
      group: `${group}:`,
      describe: `${docText(setting)} [${defaultText(setting)}]`,
    };
  }
  return yargs.options(options) as Argv;
}

/** Words that somebody means as the value of a switch. Most are refused later, with what is expected. */
const switchValue = /^(true|false|yes|no|on|off|1|0)$/i;

/**
 * Writes `-w4` and `-w=4` as `--workers=4`, for yargs would take `-wabc` for four options; and gives each switch a value,
 * `--x=true` or, for `--no-x`, `--x=false`: yargs would take whatever it is given for "false".
 */
export function spellOut(words: readonly string[], table: Table): string[] {
  const end = [...words, '--'].indexOf('--');
  const valued = new Map([[config.short, config.long]]);
  const switches = new Set<string>();
  const shortSwitches = new Map<string, string>();
  for (const { long, setting } of flagsOf(table)) {
    const isSwitch = setting.kind.flag === 'switch';
    if (isSwitch) switches.add(long);
    if (setting.short !== undefined) (isSwitch ? shortSwitches : valued).set(setting.short, long);
  }
  const found: string[] = [];
  const queue = words.slice(0, end);
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    const [, letter = '', rest = ''] = /^-([a-z])([\s\S]*)$/i.exec(word) ?? [];
    const [, off = ''] = /^--no-([a-z-]+)$/.exec(word) ?? [];
    const long = word.startsWith('--') ? word.slice(2) : rest === '' ? (shortSwitches.get(letter) ?? '') : '';
    const [next = ''] = queue;
    if (switches.has(off)) found.push(`--${off}=false`);
    else if (switches.has(long)) {
      found.push(`--${long}=${switchValue.test(next) ? queue.shift() : 'true'}`);
    } else if (shortSwitches.has(letter)) {
      const name = shortSwitches.get(letter);
      // `-D=false`, and `-Dw4` for `-D -w4`.
      if (!rest.startsWith('=')) queue.unshift(`-${rest}`);
      found.push(`--${name}=${rest.startsWith('=') ? rest.slice(1) : 'true'}`);
    } else if (valued.has(letter) && rest !== '') found.push(`--${valued.get(letter)}=${rest.replace(/^=/, '')}`);
    else found.push(word);
  }
  return [...found, ...words.slice(end)];
}

/** @param parsed what yargs made of the words */
export function readFlags(parsed: Readonly<Record<string, unknown>>, source: string, table: Table): Flags {
  const flags = flagsOf(table);
  const values: Record<string, unknown> = {};
  for (const { name, long, setting } of flags) {
    const value = parsed[long];
    if (value === undefined) continue;
    // Of a flag that is given twice, the last holds.
    values[name] = setting.kind.flag === 'list' ? [value].flat() : [value].flat().at(-1);
  }
  const configFile = parsed[config.long];
  const known = new Set([
    ...Object.values(config),
    ...flags.flatMap(({ long, setting }) => [long, setting.short ?? []].flat()),
  ]);
  return {
    values,
    configFile: configFile === undefined ? null : String([configFile].flat().at(-1)),
    positionals: ((parsed._ ?? []) as unknown[]).map(String),
    rest: ((parsed['--'] ?? []) as unknown[]).map(String),
    source,
    problems: Object.keys(parsed)
      .filter((key) => !known.has(key) && !['_', '--', '$0'].includes(key))
      .map((key) => ({ setting: null, source, message: `unknown option ${asOption(key)}${hint(key, table)}` })),
  };
}

/** The name of an option with its dashes. */
export function asOption(name: string): string {
  return name.length === 1 ? `-${name}` : `--${shorten(name)}`;
}

function hint(key: string, table: Table): string {
  const meant = suggest(key, table);
  if (meant !== null && typeof meant === 'object') return `: ${meant.note}`;
  const setting = meant === null ? undefined : table[meant];
  if (setting?.positional !== undefined) return '; the app and its arguments are given without an option';
  return meant === null || setting === undefined || !hasFlag(setting)
    ? '; prefork --help lists them all'
    : `; did you mean --${flagOf(meant, setting)}?`;
}
