/** The command line. */
import { realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { LoadRequest } from '../config/resolved.ts';
import { ConfigError, exitStatus, PreforkError, type Problem } from '../errors.ts';
import { Caller } from '../master/service/daemon.ts';
import { guardInspector } from '../master/service/inspector-guard.ts';
import { Predecessor } from '../master/upgrade/predecessor.ts';
import { commandNames } from './control/names.ts';
import type { Flags } from './flags.ts';
import { splitWords } from './words.ts';

/** What the script for tab completion asks yargs with. */
const completionWord = '--get-yargs-completions';

/** Runs the command line; the process ends when it is done. Errors are printed, not thrown. */
export async function main(argv: readonly string[]): Promise<void> {
  guardInspector();
  // `prefork --help | head -1` must not end in a stack trace.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const caller = Caller.take(process.env);
  let predecessor: Predecessor | null = null;
  try {
    predecessor = Predecessor.take(process.env);
    await run(argv, caller, predecessor);
  } catch (error) {
    if (error instanceof PreforkError) {
      for (const line of error.message.split('\n')) console.error(`prefork: ${line}`);
      caller.tell(error.message);
      predecessor?.tell(error.message);
      process.exitCode = error.exitStatus;
    } else {
      console.error('prefork: this is a bug in prefork, please report it:');
      console.error(error);
      process.exitCode = exitStatus.failure;
    }
  }
}

async function run(argv: readonly string[], caller: Caller, predecessor: Predecessor | null): Promise<void> {
  if (commandNames.has(argv[0] ?? '') || argv[0] === completionWord) {
    const { runCommand } = await import('./control/main.ts');
    return runCommand(argv, logicalCwd());
  }
  const options = argv.slice(0, [...argv, '--'].indexOf('--'));
  if (options.includes('--version') || options.includes('-v')) {
    const { version } = await import('../system/package.ts');
    return console.log(version);
  }
  const { helpText, parseWords } = await import('./parse.ts');
  if (options.includes('--help') || options.includes('-h')) {
    return console.log(await helpText(Math.min(120, process.stdout.columns ?? 100)));
  }
  const given = parseWords(argv, 'command line');
  const isCheck = given.positionals[0] === 'check';
  const flags = isCheck ? { ...given, positionals: given.positionals.slice(1) } : given;
  const cmdArgs = parseWords(splitWords(process.env.PREFORK_CMD_ARGS ?? ''), 'PREFORK_CMD_ARGS');
  const request: LoadRequest = {
    flags: settingsOf(flags),
    cmdArgs: settingsOf(cmdArgs),
    configFile: flags.configFile ?? cmdArgs.configFile,
    env: { ...process.env },
    cwd: logicalCwd(),
    umask: process.umask(),
  };
  const problems = [...cmdArgs.problems, ...flags.problems];
  if (problems.length > 0) throw new ConfigError([...problems, ...(await problemsOf(request))]);
  if (isCheck) return check(request);
  const { start } = await import('../master/start.ts');
  await start(request, caller, predecessor);
}

/** Says what a start would say of the configuration and of the app, and serves nothing. */
async function check(request: LoadRequest): Promise<void> {
  const { loadSettings } = await import('../config/load.ts');
  const { noticesFor } = await import('../master/notices.ts');
  const settings = await loadSettings(request);
  const { tryApp } = await import('../master/workers/trial.ts');
  const notes = [...noticesFor(settings), ...(await tryApp(settings))];
  for (const note of notes) console.error(`prefork: note: ${note}`);
  console.log(`OK: ${settings.workers} workers for ${settings.app.path}`);
}

/** What else is wrong, so that everything is said at once. */
async function problemsOf(request: LoadRequest): Promise<readonly Problem[]> {
  const { loadSettings } = await import('../config/load.ts');
  try {
    await loadSettings(request);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The settings that flags and positionals make together. */
function settingsOf({ values, positionals, rest }: Flags): Record<string, unknown> {
  const [app, ...more] = positionals;
  const args = [...more, ...rest];
  return { ...values, ...(app === undefined ? {} : { app }), ...(args.length === 0 ? {} : { args }) };
}

/**
 * Where we are as the shell names it: a `current` link in it can point elsewhere at the next reload. A directory that is
 * gone is left to be found missing, unless `chdir` names another.
 */
function logicalCwd(): string {
  const { PWD } = process.env;
  const named = PWD !== undefined && isAbsolute(PWD) ? PWD : null;
  try {
    const real = process.cwd();
    return named !== null && leadsTo(named, real) ? named : real;
  } catch {
    return named ?? '/';
  }
}

function leadsTo(path: string, real: string): boolean {
  try {
    return realpathSync(path) === real;
  } catch {
    return false;
  }
}
