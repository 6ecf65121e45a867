/** The process that tells others of events, as the master sees it. Nothing that it says or does is trusted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Settings } from '../../config/resolved.ts';
import type { ServiceEvent } from '../../config/service-event.ts';
import type { NotifyAnswer, NotifyEvent, NotifyOrder, NotifyTask } from '../../notify/messages.ts';
import { launchAs, withMask } from '../../system/identity.ts';
import { readLines } from '../../system/output.ts';
import { ownLoader, ownModule } from '../../system/own-files.ts';
import { withoutStrays } from '../../system/strays.ts';

/** Characters of an answer, and of the reason in it. */
const maxAnswer = 64 * 1024;
const maxReason = 500;
const unusable = 'wrote what is no answer to file descriptor 3';

export interface ListenerOptions {
  readonly task: NotifyTask;
  readonly settings: Pick<Settings, 'chdir' | 'env' | 'identity' | 'umask'>;
  readonly onPrinted: (line: string) => void;
  /** @returns whether it was waited for */
  readonly onAnswer: (answer: NotifyAnswer) => boolean;
  /** It is gone, and how: once, and nothing follows. */
  readonly onGone: (how: string) => void;
}

export class Listener {
  readonly #child: ChildProcess;
  readonly #pipe: Socket | null;
  readonly #options: ListenerOptions;
  readonly #kill = (): void => void this.#child.kill('SIGKILL');
  #rest = '';
  #isGone = false;

  constructor(options: ListenerOptions) {
    const { onPrinted, task } = options;
    this.#options = options;
    this.#child = start(options);
    const [, stdout, stderr, pipe] = this.#child.stdio ?? [];
    this.#pipe = pipe instanceof Socket ? pipe : null;
    this.#child.on('error', (error) => this.#gone(`could not be started: ${error.message}`));
    this.#child.on('exit', (code, signal) =>
      this.#gone(signal === null ? `exited with code ${code}` : `ended by ${signal}`),
    );
    process.once('exit', this.#kill);
    for (const stream of [stdout, stderr]) if (stream instanceof Socket) void readLines(stream, onPrinted);
    this.#pipe?.on('error', () => {});
    this.#pipe?.setEncoding('utf8');
    this.#pipe?.on('data', (chunk: string) => this.#read(chunk));
    const order: NotifyOrder = { parent: process.pid, task };
    this.#write(order);
  }

  send(event: ServiceEvent): void {
    const message: NotifyEvent = { event };
    this.#write(message);
  }

  /** Nothing is heard of it any more. */
  end(): void {
    this.#isGone = true;
    process.removeListener('exit', this.#kill);
    this.#kill();
    this.#pipe?.destroy();
  }

  #write(message: NotifyOrder | NotifyEvent): void {
    this.#pipe?.write(`${JSON.stringify(message)}\n`);
  }

  #read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > maxAnswer) {
      this.#gone(unusable);
      return;
    }
    for (const line of lines) {
      if (this.#isGone) return;
      const answer = answerOf(line);
      // Nothing else has a place here: whoever writes something else would go on doing so.
      if (answer === null || !this.#options.onAnswer(answer)) this.#gone(unusable);
    }
  }

  #gone(how: string): void {
    if (this.#isGone) return;
    this.end();
    this.#options.onGone(how);
  }
}

function start({ settings, task }: ListenerOptions): ChildProcess {
  const { chdir, env, identity, umask } = settings;
  const execArgv = ['--no-warnings=ExperimentalWarning', ...ownLoader(), ownModule('notify/child')];
  const { command, args, ids } = launchAs(identity, process.execPath, execArgv);
  return withMask(umask, () =>
    spawn(command, args, {
      ...ids,
      // The working directory of an old release may be gone.
      cwd: existsSync(chdir) ? chdir : '/',
      env: { ...env, NODE_CHANNEL_FD: undefined, ...(task.type === 'webhook' ? { NODE_OPTIONS: undefined } : {}) },
      stdio: withoutStrays(['ignore', 'pipe', 'pipe', 'pipe']),
    }),
  );
}

/** @returns `null` for a line that is no answer */
function answerOf(line: string): NotifyAnswer | null {
  if (line.length > maxAnswer) return null;
  try {
    const raw: unknown = JSON.parse(line);
    if (typeof raw !== 'object' || raw === null) return null;
    const { id, failure } = raw as Record<string, unknown>;
    if (typeof id !== 'string' || (failure !== null && typeof failure !== 'string')) return null;
    return { id, failure: failure === null ? null : failure.slice(0, maxReason) };
  } catch {
    return null;
  }
}
