/** Starts the child that runs config code, and hears what it says and prints, in bounded time and memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { ConfigError, systemFailure } from '../../errors.ts';
import { launchAs, withMask } from '../../system/identity.ts';
import { readLines } from '../../system/output.ts';
import { ownLoader, ownModule } from '../../system/own-files.ts';
import { withoutStrays } from '../../system/strays.ts';
import { within } from '../../system/within.ts';
import type { Settings } from '../resolved.ts';
import { Answer } from './answer.ts';
import { type ProbeOrder, type ProbeReport, probeDescriptor } from './messages.ts';
import { bounded, type OnPrinted } from './printed.ts';

/** Milliseconds that config code may take. */
const deadline = 10_000;
/** Milliseconds for what it said last to arrive. What it has started may hold its pipes open for ever. */
const lastWords = 250;

export interface ChildOptions extends Pick<Settings, 'identity' | 'umask'> {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onPrinted: OnPrinted;
}

/**
 * Gives a child an order, and ends it once it has answered. The first answer counts.
 *
 * @throws ConfigError if it gives none in time, or none that can be used
 */
export async function runChild(order: ProbeOrder, options: ChildOptions): Promise<ProbeReport> {
  const child = startChild(order, options);
  const [, stdout, stderr, speech] = child.stdio ?? [];
  // Without descriptors there is no pipe; without a process none that leads anywhere.
  if (child.pid === undefined || !(speech instanceof Socket)) throw await failedStart(child, order.path);
  const kill = (): void => void child.kill('SIGKILL');
  // A child that loops would not see that we are gone.
  process.once('exit', kill);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, deadline);
  try {
    const print = bounded(options.onPrinted);
    const outputs = [stdout, stderr].filter((stream) => stream instanceof Socket);
    const printed = Promise.all(outputs.map((stream) => readLines(stream, print)));
    const answer = hear(speech, order.type);
    speech.write(`${JSON.stringify(order)}\n`);
    // Not the end of the pipe, which what it has started may hold.
    void answer.then(kill);
    const { code, signal } = await exitOf(child);
    await within(Promise.all([answer, printed]), lastWords, { ref: true });
    // If we were busy meanwhile, what has arrived has not been read.
    await new Promise(setImmediate);
    for (const stream of [speech, ...outputs]) stream.destroy();
    await printed;
    const heard = await answer;
    if (heard?.kind === 'report') return heard.report;
    if (heard?.kind === 'offence') throw problem(order.path, unusable(heard.reason));
    throw problem(order.path, timedOut ? neverLoaded() : ended(code, signal));
  } finally {
    clearTimeout(timer);
    process.removeListener('exit', kill);
  }
}

function startChild(order: ProbeOrder, { cwd, env, identity, umask }: ChildOptions): ChildProcess {
  const execArgv = ['--no-warnings=ExperimentalWarning', ...ownLoader(), ownModule('config/probe/child')];
  const { command, args, ids } = launchAs(identity, process.execPath, execArgv);
  const start = (): ChildProcess =>
    spawn(command, args, {
      ...ids,
      // The working directory of an old release may be gone; the setting that names it is checked elsewhere.
      cwd: existsSync(cwd) ? cwd : dirname(order.path),
      env: { ...env, NODE_CHANNEL_FD: undefined },
      // No IPC channel: descriptors that are sent over one end its reader. libuv reads a pipe with read(2), for which the
      // kernel closes them.
      stdio: withoutStrays(['ignore', 'pipe', 'pipe', 'pipe']),
    });
  const child = withMask(umask, start);
  child.on('error', () => {});
  return child;
}

/** Of a child that was not started: Node tells it in an event, in the next tick. */
function failedStart(child: ChildProcess, path: string): Promise<ConfigError> {
  return new Promise((resolve) => {
    child.once('error', (error) =>
      resolve(problem(path, `cannot be loaded: ${systemFailure(error) ?? error.message}`)),
    );
  });
}

/** @returns what it says first; `null` if its pipe ends before */
function hear(speech: Socket, expected: ProbeOrder['type']): Promise<ReturnType<Answer['take']>> {
  return new Promise((resolve) => {
    const answer = new Answer(expected);
    speech.on('data', (chunk: Buffer) => {
      const heard = answer.take(chunk);
      if (heard === null) return;
      resolve(heard);
      speech.destroy();
    });
    // It is gone, or has closed its end: its exit tells the rest.
    speech.on('error', () => {});
    speech.on('close', () => resolve(null));
  });
}

function exitOf(
  child: ChildProcess,
): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
}

function unusable(reason: string): string {
  return `its answer cannot be used, ${reason}; does its code write to file descriptor ${probeDescriptor}?`;
}

function neverLoaded(): string {
  return `did not finish loading within ${deadline / 1_000} s; does it loop, or wait for something that never comes?`;
}

function ended(code: number | null, signal: NodeJS.Signals | null): string {
  return `the config file ended the process that loaded it (${signal ?? `exit code ${code}`})`;
}

/** Of a config file. */
export function problem(source: string, message: string): ConfigError {
  return new ConfigError([{ setting: null, source, message }]);
}
