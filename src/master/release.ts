/** The release command: run once per reload, before any worker of the new generation. */
import { spawn, spawnSync } from 'node:child_process';
import type { Settings } from '../config/resolved.ts';
import { shorten, withoutSecrets } from '../config/show.ts';
import { ReleaseError } from '../errors.ts';
import { launchAs, withMask } from '../system/identity.ts';
import { readLines } from '../system/output.ts';
import { withoutStrays } from '../system/strays.ts';
import type { Logger } from './log/logger.ts';

/** Milliseconds that a shell may take to look at a command. */
const lookupTime = 5_000;

/**
 * Runs it, its output into the log line by line.
 *
 * @throws ReleaseError if it fails, or does not end within `releaseTimeout`
 */
export function runRelease(settings: Settings, logger: Logger, signal: AbortSignal): Promise<void> {
  const { release } = settings;
  if (release === null) return Promise.resolve();
  return new Promise((resolve, reject) => {
    // The operator wrote a shell command in the config; nothing from elsewhere is put into it.
    const { command, args, ids } = launchAs(settings.identity, '/bin/sh', ['-c', release]);
    const child = withMask(settings.umask, () =>
      spawn(command, args, {
        ...ids,
        cwd: settings.chdir,
        env: { ...settings.env },
        stdio: withoutStrays(['ignore', 'pipe', 'pipe']),
        detached: true,
      }),
    );
    let timedOut = false;
    const end = () => killGroup(child.pid);
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, settings.releaseTimeout);
    signal.addEventListener('abort', end, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      void readLines(stream, (text) =>
        logger.info({ release: withoutSecrets(release) }, `release: ${text.slice(0, 4_000)}`),
      );
    }
    const settle = (failure: string | null) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      if (failure === null) resolve();
      else reject(new ReleaseError(`release command "${withoutSecrets(release)}" ${failure}`));
    };
    child.on('error', (error) => settle(`could not be started: ${error.message}`));
    child.on('exit', (code, exitSignal) => {
      if (timedOut) settle('did not end within releaseTimeout');
      else if (code === 0) settle(null);
      else settle(exitSignal === null ? `failed with code ${code}` : `was ended by ${exitSignal}`);
    });
  });
}

/**
 * Why the release command cannot be run, found without running it. A start does without it; a reload would fail.
 *
 * @returns one line; `null` if nothing is wrong that can be seen from outside
 */
export function releaseNote({ release, chdir, env }: Settings): string | null {
  if (release === null) return null;
  const shell = (args: readonly string[]) =>
    spawnSync('/bin/sh', [...args], { cwd: chdir, env: { ...env }, encoding: 'utf8', timeout: lookupTime });
  const { status, stderr } = shell(['-n', '-c', release]);
  if (status !== 0) return `release: a reload would fail, /bin/sh cannot read it: ${shorten(stderr.trim(), 200)}`;
  // Anything but a plain word the shell alone understands.
  const [, word] = /^([\w./-]+)(?:\s|$)/.exec(release) ?? [];
  if (word === undefined || shell(['-c', 'command -v "$0"', word]).status === 0) return null;
  return `release: a reload would fail, there is no command ${word}`;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
