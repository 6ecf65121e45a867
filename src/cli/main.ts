/** The command line. */
import { readFileSync, realpathSync } from 'node:fs';
import yargs from 'yargs';
import type { LoadRequest } from '../config/resolved.ts';
import { ConfigError, exitStatus, PreforkError } from '../errors.ts';
import { declareFlags, type Flags, readFlags } from './flags.ts';
import { splitWords } from './words.ts';

/** Runs the command line; the process ends when it is done. Errors are printed, not thrown. */
export async function main(argv: readonly string[]): Promise<void> {
  // `prefork --help | head -1` must not end in a stack trace.
  process.stdout.on('error', () => {});
  try {
    await run(argv);
  } catch (error) {
    if (error instanceof PreforkError) {
      for (const line of error.message.split('\n')) console.error(`prefork: ${line}`);
      process.exitCode = error.exitStatus;
    } else {
      console.error('prefork: this is a bug in prefork, please report it:');
      console.error(error);
      process.exitCode = exitStatus.failure;
    }
  }
}

async function run(argv: readonly string[]): Promise<void> {
  const [command, ...rest] = argv;
  const isCheck = command === 'check';
  const flags = await parse(isCheck ? rest : argv, 'command line', true);
  if (flags === null) return;
  const cmdArgs = await parse(splitWords(process.env.PREFORK_CMD_ARGS ?? ''), 'PREFORK_CMD_ARGS', false);
  const request: LoadRequest = {
    flags: flags.values,
    cmdArgs: cmdArgs?.values ?? {},
    configFile: flags.configFile ?? cmdArgs?.configFile ?? null,
    env: { ...process.env },
    cwd: logicalCwd(),
  };
  if (isCheck) {
    const { loadSettings } = await import('../config/load.ts');
    const settings = await loadSettings(request);
    console.log(`OK: ${settings.workers} workers for ${settings.app.path}`);
    return;
  }
  const { start } = await import('../arbiter/start.ts');
  await start(request);
}

/** @returns `null` where --help or --version was all that was wanted */
async function parse(words: readonly string[], source: string, withHelp: boolean): Promise<Flags | null> {
  const described = declareFlags(yargs([]))
    .scriptName('prefork')
    .usage('prefork [app] [options] [-- app arguments]\nprefork check [app] [options]')
    .example('prefork ./server.js', 'serve an app that listens by itself')
    .example('prefork ./app.js:createApp -b 0.0.0.0:8000 -w 4', 'serve what a named export gives')
    .example('kill -HUP $(cat app.pid)', 'reload it, without losing a request')
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'boolean-negation': false,
      'populate--': true,
      'strip-aliased': true,
    })
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .help(withHelp)
    .alias(withHelp ? { h: 'help' } : {})
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new ConfigError([{ setting: null, source, message: message.replace(/\n/g, ' ') }]);
    });
  const parser = withHelp ? described.version(version()) : described.version(false);
  const options = words.slice(0, [...words, '--'].indexOf('--'));
  if (withHelp && options.some((word) => word === '--help' || word === '-h')) {
    console.log(await parser.getHelp());
    return null;
  }
  if (withHelp && options.includes('--version')) {
    console.log(version());
    return null;
  }
  const parsed = (await parser.parseAsync([...words])) as Record<string, unknown>;
  return readFlags(parsed, source);
}

/** Where we are as the shell names it: a `current` link in it can point elsewhere at the next reload. */
function logicalCwd(): string {
  const real = process.cwd();
  const { PWD } = process.env;
  try {
    return PWD !== undefined && realpathSync(PWD) === real ? PWD : real;
  } catch {
    return real;
  }
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
