/** The command line. */
import type { LoadRequest } from '../config/resolved.ts';
import { shorten } from '../config/show.ts';
import { ConfigError, type Problem } from '../errors.ts';
import { Caller } from '../master/service/daemon.ts';
import { guardInspector } from '../master/service/inspector-guard.ts';
import { leavePreloads } from '../master/service/own-preloads.ts';
import { Predecessor } from '../master/upgrade/predecessor.ts';
import { escapeText } from '../system/plain.ts';
import { checkStrays } from '../system/strays.ts';
import type { LaunchCommand } from './command.ts';
import { commandNamed } from './commands/index.ts';
import { serve } from './commands/serve.ts';
import { logicalCwd } from './cwd.ts';
import { describeFailure } from './failure.ts';
import type { Flags } from './flags.ts';
import { splitWords } from './words.ts';

/** Milliseconds that what was said last has to arrive. */
const lastWords = 500;

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
    const { lines, status } = describeFailure(error);
    for (const line of lines) console.error(`prefork: ${escapeText(line)}`);
    caller.tell(lines.join('\n'));
    predecessor?.tell(lines.join('\n'));
    process.exitCode = status;
    // What a failed start has left open must not keep the process: its service manager waits for the end.
    setTimeout(() => process.exit(), lastWords).unref();
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
  try {
    await launch(given, caller, predecessor);
  } catch (error) {
    if (!(error instanceof ConfigError) || launchCommandOf(given).command !== serve) throw error;
    const { explainWord } = await import('./unknown-command.ts');
    throw explainWord(error, given.positionals[0]);
  }
}

/** A start, or the check of one. */
async function launch(given: Flags, caller: Caller, predecessor: Predecessor | null): Promise<void> {
  const { parseWords } = await import('./parse.ts');
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
  checkStrays();
  const problems = [cmdArgs, flags].flatMap((each) => [...each.problems, ...strayProblems(each)]);
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
  const [app] = positionals;
  return { ...values, ...(app === undefined ? {} : { app }), ...(rest.length === 0 ? {} : { args: rest }) };
}

/** What stands beside the app: if the app got it as an argument, a misspelled option would go unseen. */
function strayProblems({ positionals, source }: Flags): Problem[] {
  const [app = '', ...strays] = positionals.map((word) => shorten(word));
  return strays.map((word) => {
    const advice = /^(.*:)?\d+$/.test(word) ? '; an address is given by --bind (-b)' : '';
    const message = `unexpected argument ${word}: the app is ${app}, and its own arguments follow --${advice}`;
    return { setting: null, source, message };
  });
}
