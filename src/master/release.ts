/** The release command: run once per reload, start or upgrade, before any worker of the new generation. */
import { spawn, spawnSync } from 'node:child_process';
import type { Settings } from '../config/resolved.ts';
import type { ReleaseMoment } from '../config/settings/kinds.ts';
import { shorten, withoutSecrets } from '../config/show.ts';
import { ReleaseError } from '../errors.ts';
import { launchAs, withMask } from '../system/identity.ts';
import { monotonic } from '../system/monotonic.ts';
import { readLines } from '../system/output.ts';
import { withoutStrays } from '../system/strays.ts';
import { seconds } from './log/line.ts';
import type { Logger } from './log/logger.ts';
import { folderOf } from './releases/files.ts';
import { type Turn, takeTurn } from './releases/turn.ts';

const articles: Readonly<Record<ReleaseMoment, string>> = {
  start: 'a start',
  reload: 'a reload',
  upgrade: 'an upgrade',
};

/** Milliseconds that a shell may take to look at a command. */
const lookupTime = 5_000;

/** Milliseconds that the command has to end after it was asked to; a migration may have a lock to give back. */
const endWithin = 3_000;

/**
 * Runs it, if it is for this moment, once no other one runs for the same release on this host; its output goes into the log
 * line by line.
 *
 * @throws ReleaseError if it fails, or neither gets its turn nor ends within `releaseTimeout`
 */
export async function runRelease(
  settings: Settings,
  logger: Logger,
  signal: AbortSignal,
  moment: ReleaseMoment,
): Promise<void> {
  const { release, releaseOn, releaseTimeout, identity, app, name } = settings;
  if (release === null || !releaseOn.includes(moment)) return;
  const fields = { release: withoutSecrets(release), moment };
  const turn = await takeTurn({
    folder: folderOf(app.path),
    name,
    uid: identity?.uid ?? process.geteuid?.() ?? 0,
    within: releaseTimeout,
    signal,
    onWait: (holder) =>
      logger.info(fields, `the release command waits: ${holder} runs one for the same release on this host`),
  });
  if (turn.problem !== null)
    logger.warn(fields, `another release command may run at the same time: no tickets can be written, ${turn.problem}`);
  try {
    signal.throwIfAborted();
    logger.info(fields, `release command started, for the ${moment}`);
    const since = monotonic();
    await run(release, settings, logger, signal, turn);
    const durationMs = Math.round(monotonic() - since);
    logger.info({ ...fields, durationMs }, `release command done in ${seconds(durationMs)}`);
  } finally {
    turn.end();
  }
}

function run(release: string, settings: Settings, logger: Logger, signal: AbortSignal, turn: Turn): Promise<void> {
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
    if (child.pid !== undefined) turn.holdFor(child.pid);
    let timedOut = false;
    let killer: NodeJS.Timeout | null = null;
    const kill = () => signalGroup(child.pid, 'SIGKILL');
    const end = () => {
      signalGroup(child.pid, 'SIGTERM');
      killer ??= setTimeout(kill, endWithin);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, settings.releaseTimeout);
    signal.addEventListener('abort', end, { once: true });
    process.once('exit', kill);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      void readLines(stream, (text) =>
        logger.info({ release: withoutSecrets(release) }, `release: ${text.slice(0, 4_000)}`),
      );
    }
    const settle = (failure: string | null) => {
      clearTimeout(timer);
      if (killer !== null) {
        // What it has started may have paid no attention.
        clearTimeout(killer);
        kill();
      }
      signal.removeEventListener('abort', end);
      process.removeListener('exit', kill);
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
 * Why the release command cannot be run, found without running it.
 *
 * @returns one line; `null` if nothing is wrong that can be seen from outside
 */
export function releaseNote({ release, releaseOn, chdir, env }: Settings): string | null {
  if (release === null) return null;
  const failing = `${releaseOn.map((moment) => articles[moment]).join(' and ')} would fail`;
  const shell = (args: readonly string[]) =>
    spawnSync('/bin/sh', [...args], { cwd: chdir, env: { ...env }, encoding: 'utf8', timeout: lookupTime });
  const { status, stderr } = shell(['-n', '-c', release]);
  if (status !== 0) return `release: ${failing}, /bin/sh cannot read it: ${shorten(stderr.trim(), 200)}`;
  // Anything but a plain word the shell alone understands.
  const [, word] = /^([\w./-]+)(?:\s|$)/.exec(release) ?? [];
  if (word === undefined || shell(['-c', 'command -v "$0"', word]).status === 0) return null;
  return `release: ${failing}, there is no command ${word}`;
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}
