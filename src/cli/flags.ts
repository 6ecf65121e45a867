/** The flags, made from the table of settings, and what is read from them. Values stay text: they are checked later. */
import type { Argv, Options } from 'yargs';
import { nearest } from '../config/merge.ts';
import { flagOf, type SettingName, settingNames, settingOf } from '../config/settings.ts';
import { ConfigError, type Problem } from '../errors.ts';

export interface Flags {
  readonly configFile: string | null;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Settings that have no flag: a hook is a function, the app and its arguments are positional. */
const flagless: readonly SettingName[] = ['app', 'args', 'onWorkerAbort'];
const withFlag = settingNames.filter((name) => !flagless.includes(name));

export function declareFlags(yargs: Argv): Argv {
  const options: Record<string, Options> = {
    config: {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      group: 'Service:',
      describe: 'Config file (default: supervisor.config.{ts,mts,js,mjs,cjs})',
    },
  };
  for (const name of withFlag) {
    const { short, doc, group, kind, default: byDefault } = settingOf(name);
    const isRepeatable = kind.type === 'addresses' || kind.type === 'record' || kind.type === 'texts';
    options[flagOf(name)] = {
      ...(short === undefined ? {} : { alias: short }),
      // Text, so that errors are ours and say where a value came from.
      type: 'string',
      requiresArg: true,
      ...(isRepeatable ? { array: false } : {}),
      group: `${group}:`,
      describe: `${doc} [${byDefault}]`,
    };
  }
  return yargs.options(options) as Argv;
}

/** @throws ConfigError where a flag is unknown, or a positional is too much */
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
  rejectUnknown(parsed, source);
  const [app, ...more] = ((parsed._ ?? []) as unknown[]).map(String);
  const rest = ((parsed['--'] ?? []) as unknown[]).map(String);
  if (app !== undefined) values.app = app;
  if (more.length + rest.length > 0) values.args = [...more, ...rest];
  const { config } = parsed;
  return { values, configFile: config === undefined ? null : String([config].flat().at(-1)) };
}

function rejectUnknown(parsed: Readonly<Record<string, unknown>>, source: string): void {
  const known = new Set(['_', '--', '$0', 'help', 'version', 'h', 'v', 'config', 'c']);
  for (const name of withFlag) {
    known.add(flagOf(name));
    const { short } = settingOf(name);
    if (short !== undefined) known.add(short);
  }
  const problems: Problem[] = Object.keys(parsed)
    .filter((key) => !known.has(key))
    .map((key) => {
      const near = nearest(key);
      const hint =
        near === null || flagless.includes(near) ? 'prefork --help lists them all' : `did you mean --${flagOf(near)}?`;
      return { setting: null, source, message: `unknown option ${key.length > 1 ? `--${key}` : `-${key}`}; ${hint}` };
    });
  if (problems.length > 0) throw new ConfigError(problems);
}
