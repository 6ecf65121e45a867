/** The flags, made from the table of settings, and what is read from them. Values stay text: they are checked later. */
import type { Argv, Options } from 'yargs';
import { suggest } from '../config/merge.ts';
import { flagOf, type SettingName, settingNames, settingOf } from '../config/settings.ts';
import { shorten } from '../config/show.ts';
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
  /** Options there are none of. */
  readonly problems: readonly Problem[];
}

/** Settings that have no flag: a hook is a function, the app and its arguments are positional. */
const flagless: readonly SettingName[] = ['app', 'args', 'onWorkerAbort', 'routeLabel'];
const withFlag = settingNames.filter((name) => !flagless.includes(name));

const longFlags = new Map<string, string>([['c', 'config']]);
for (const name of withFlag) {
  const { short, kind } = settingOf(name);
  // A switch takes no value that could stick to its letter.
  if (short !== undefined && kind.type !== 'boolean') longFlags.set(short, flagOf(name));
}
const known = new Set<string>([
  'config',
  'c',
  ...withFlag.flatMap((name) => [flagOf(name), settingOf(name).short ?? []].flat()),
]);

/** Of a start, with their dashes. */
export const flagNames = withFlag.map((name) => `--${flagOf(name)}`);

export function declareFlags(yargs: Argv): Argv {
  const options: Record<string, Options> = {
    config: {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      group: 'Service:',
      describe: 'Config file [supervisor.config.{ts,mts,js,mjs,cjs}]',
    },
  };
  for (const name of withFlag) {
    const { short, doc, group, default: byDefault } = settingOf(name);
    options[flagOf(name)] = {
      ...(short === undefined ? {} : { alias: short }),
      // Text, so that errors are ours and say where a value came from.
      ...(settingOf(name).kind.type === 'boolean' ? { type: 'boolean' } : { type: 'string', requiresArg: true }),
      group: `${group}:`,
      describe: `${doc} [${byDefault}]`,
    };
  }
  return yargs.options(options) as Argv;
}

const switches = new Set(withFlag.filter((name) => settingOf(name).kind.type === 'boolean').map(flagOf));

/** Writes `-w4` and `-w=4` as `--workers=4`: yargs would take `-wabc` for four options; and `--no-x` as `--x=false`. */
export function spellOut(words: readonly string[]): string[] {
  const end = [...words, '--'].indexOf('--');
  return words.map((word, index) => {
    const [, off = ''] = index < end ? (/^--no-([a-z-]+)$/.exec(word) ?? []) : [];
    if (switches.has(off)) return `--${off}=false`;
    const [, short = '', value = ''] = index < end ? (/^-([a-z])=?([\s\S]+)$/i.exec(word) ?? []) : [];
    const long = longFlags.get(short);
    return long === undefined ? word : `--${long}=${value}`;
  });
}

/** @param parsed what yargs made of the words */
export function readFlags(parsed: Readonly<Record<string, unknown>>, source: string): Flags {
  const values: Record<string, unknown> = {};
  for (const name of withFlag) {
    const value = parsed[flagOf(name)];
    if (value === undefined) continue;
    const { type } = settingOf(name).kind;
    const isList = type === 'addresses' || type === 'record' || type === 'texts';
    // Of a flag that is given twice, the last holds.
    values[name] = isList ? [value].flat() : [value].flat().at(-1);
  }
  const { config } = parsed;
  return {
    values,
    configFile: config === undefined ? null : String([config].flat().at(-1)),
    positionals: ((parsed._ ?? []) as unknown[]).map(String),
    rest: ((parsed['--'] ?? []) as unknown[]).map(String),
    problems: Object.keys(parsed)
      .filter((key) => !known.has(key) && !['_', '--', '$0'].includes(key))
      .map((key) => ({ setting: null, source, message: `unknown option ${asOption(key)}${hint(key)}` })),
  };
}

/** The name of an option with its dashes. */
export function asOption(name: string): string {
  return name.length === 1 ? `-${name}` : `--${shorten(name)}`;
}

function hint(key: string): string {
  const meant = suggest(key);
  if (meant !== null && typeof meant === 'object') return `: ${meant.note}`;
  if (meant === 'app' || meant === 'args') return '; the app and its arguments are given without an option';
  return meant === null || flagless.includes(meant)
    ? '; prefork --help lists them all'
    : `; did you mean --${flagOf(meant)}?`;
}
