/** The command line. */
import type { LoadRequest } from '../config/resolved.ts';
import { ConfigError, exitStatus, PreforkError, type Problem } from '../errors.ts';
import { Caller } from '../master/service/daemon.ts';
import { guardInspector } from '../master/service/inspector-guard.ts';
import { leavePreloads } from '../master/service/own-preloads.ts';
import { Predecessor } from '../master/upgrade/predecessor.ts';
import type { LaunchCommand } from './command.ts';
import { commandNamed } from './commands/index.ts';
import { serve } from './commands/serve.ts';
import { logicalCwd } from './cwd.ts';
import type { Flags } from './flags.ts';
import { splitWords } from './words.ts';

/** The word with which the script for tab completion asks yargs. */
const completionWord = '--get-yargs-completions';

/** Runs the command line; the process ends when it is done. Errors are printed, not thrown. */
export async function main(argv: readonly string[]): Promise<void> {
  guardInspector();
  if (commandNamed(argv[0])?.takes !== 'its own options') leavePreloads();
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
  if (commandNamed(argv[0])?.takes === 'its own options' || argv[0] === completionWord) {
    const { runCommand } = await import('./run-command.ts');
    return runCommand(argv, logicalCwd());
  }
  const options = argv.slice(0, [...argv, '--'].indexOf('--'));
  if (options.includes('--version') || options.includes('-v')) {
    const { version } = await import('../system/package.ts');
    return console.log(version);
  }
  const { helpText, parseWords } = await import('./parse.ts');
  if (options.includes('--help') || options.includes('-h')) {
    const { overview } = await import('./overview.ts');
    return console.log(await helpText(Math.min(120, process.stdout.columns ?? 100), overview()));
  }
  const given = parseWords(argv, 'command line');
  const { command, flags } = launchCommandOf(given);
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
  await command.run({ request, caller, predecessor });
}

/** The command that the first positional calls, and the flags without it; `serve` if it calls none. */
function launchCommandOf(flags: Flags): { readonly command: LaunchCommand; readonly flags: Flags } {
  const command = commandNamed(flags.positionals[0]);
  return command?.takes === 'settings'
    ? { command, flags: { ...flags, positionals: flags.positionals.slice(1) } }
    : { command: serve, flags };
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
