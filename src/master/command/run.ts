/** Runs a shell command of the configuration, as the user of the workers and with their environment. */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Settings } from '../../config/resolved.ts';
import { shorten, withoutSecrets } from '../../config/show.ts';
import { launchAs, withMask } from '../../system/identity.ts';
import { readLines } from '../../system/output.ts';
import { withoutStrays } from '../../system/strays.ts';
import { within } from '../../system/within.ts';
import type { Logger } from '../log/logger.ts';

/** Milliseconds for the last lines of a command that has ended to arrive: what it has started may hold its pipes open. */
const lastWords = 250;
/** Characters of a line that are logged, and of one that is told as the reason. */
const longestLine = 4_000;
const longestReason = 200;
/** Lines that are told as the reason. */
const reasonLines = 3;
/** Runs the command once a line comes, with no input of its own; not at all if who was to send it has died. */
const gate = 'read -r _ && exec /bin/sh -c "$1" </dev/null';

export interface CommandOptions {
  /** The setting that it is of: the field and the beginning of its lines in the log. */
  readonly name: string;
  readonly command: string;
  readonly settings: Pick<Settings, 'chdir' | 'env' | 'identity' | 'umask'>;
  /** Beside the environment of the workers. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds that it may take. */
  readonly timeout: number;
  /** The setting that says so. */
  readonly timeoutName: string;
  readonly logger: Logger;
  /** Ends it, with all that it has started. */
  readonly signal: AbortSignal;
  /** Milliseconds from SIGTERM to SIGKILL when it is to end; without them it is killed at once. */
  readonly endWithin?: number;
  /** Is given its process, of which nothing has run yet: a master that dies before this returns leaves none behind. */
  readonly onStarted?: (pid: number) => void;
  /** Whether what it has started and left behind ends with it. */
  readonly endsAll: boolean;
}

/** How it ended: `failure` says what went wrong, `null` if nothing did. */
export interface CommandEnd {
  readonly failure: string | null;
  /** The last lines that it printed, on one line; empty if it printed none. */
  readonly said: string;
}

/** Its output goes into the log line by line. It never throws: what goes wrong is the `failure`. */
export function runCommand(options: CommandOptions): Promise<CommandEnd> {
  const { name, settings, logger, signal, timeout, timeoutName, endsAll } = options;
  return new Promise((resolve) => {
    const last: string[] = [];
    // The operator wrote a shell command in the config; nothing from elsewhere is put into it.
    const { command, args, ids } = launchAs(settings.identity, '/bin/sh', ['-c', gate, 'sh', options.command]);
    const child = withMask(settings.umask, () =>
      spawn(command, args, {
        ...ids,
        cwd: settings.chdir,
        env: { ...settings.env, ...options.env },
        stdio: withoutStrays(['pipe', 'pipe', 'pipe']),
        detached: true,
      }),
    );
    if (child.pid !== undefined) options.onStarted?.(child.pid);
    // It may have been killed before it read.
    child.stdin?.on('error', () => {}).end('\n');
    let timedOut = false;
    let killer: NodeJS.Timeout | null = null;
    const kill = () => signalGroup(child.pid, 'SIGKILL');
    const end = () => {
      if (options.endWithin === undefined) {
        kill();
        return;
      }
      signalGroup(child.pid, 'SIGTERM');
      killer ??= setTimeout(kill, options.endWithin);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, timeout);
    signal.addEventListener('abort', end, { once: true });
    process.once('exit', kill);
    const fields = { [name]: withoutSecrets(options.command) };
    // Node leaves them out of a child that could not be started.
    const outputs = [child.stdout, child.stderr].filter((stream) => stream instanceof Socket);
    const printed = outputs.map((stream) =>
      readLines(stream, (text) => {
        logger.info(fields, `${name}: ${text.slice(0, longestLine)}`);
        if (text.trim() === '') return;
        last.push(shorten(text.trim(), longestReason));
        if (last.length > reasonLines) last.shift();
      }),
    );
    const settle = (failure: string | null) => {
      clearTimeout(timer);
      if (killer !== null) {
        // What it has started may have paid no attention.
        clearTimeout(killer);
        kill();
      }
      process.removeListener('exit', kill);
      signal.removeEventListener('abort', end);
      resolve({ failure, said: last.join(' / ') });
    };
    child.on('error', (error) => settle(`could not be started: ${error.message}`));
    child.on('exit', (code, exitSignal) => {
      if (endsAll) kill();
      void within(Promise.all(printed), lastWords, { ref: true }).then(() => {
        if (timedOut) settle(`did not end within ${timeoutName}`);
        else if (code === 0) settle(null);
        else settle(exitSignal === null ? `failed with code ${code}` : `was ended by ${exitSignal}`);
      });
    });
    // Who gave up before there was a process to end.
    if (signal.aborted) end();
  });
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}
