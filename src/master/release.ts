/** The release command: run once per reload, before any worker of the new generation. */
import { spawn } from 'node:child_process';
import type { Settings } from '../config/resolved.ts';
import { withoutSecrets } from '../config/show.ts';
import { ReleaseError } from '../errors.ts';
import { launchAs, withMask } from '../system/identity.ts';
import { withoutStrays } from '../system/strays.ts';
import type { Logger } from './log/logger.ts';
import { readLines } from './workers/output.ts';

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

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
