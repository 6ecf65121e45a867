/** The release command: run once per reload, start or upgrade, before any worker of the new generation. */
import type { Settings } from '../config/resolved.ts';
import type { ReleaseMoment } from '../config/settings/kinds.ts';
import { withoutSecrets } from '../config/show.ts';
import { ReleaseError } from '../errors.ts';
import { monotonic } from '../system/monotonic.ts';
import { commandNote } from './command/note.ts';
import { runCommand } from './command/run.ts';
import { seconds } from './log/line.ts';
import type { Logger } from './log/logger.ts';
import { folderOf } from './releases/files.ts';
import { type Turn, takeTurn } from './releases/turn.ts';

const articles: Readonly<Record<ReleaseMoment, string>> = {
  start: 'a start',
  reload: 'a reload',
  upgrade: 'an upgrade',
};

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

async function run(
  release: string,
  settings: Settings,
  logger: Logger,
  signal: AbortSignal,
  turn: Turn,
): Promise<void> {
  const { failure } = await runCommand({
    name: 'release',
    command: release,
    settings,
    timeout: settings.releaseTimeout,
    timeoutName: 'releaseTimeout',
    logger,
    signal,
    endsAll: false,
    endWithin,
    onStarted: (pid) => turn.holdFor(pid),
  });
  if (failure !== null) throw new ReleaseError(`release command "${withoutSecrets(release)}" ${failure}`);
}

/**
 * Why the release command cannot be run, found without running it.
 *
 * @returns one line; `null` if nothing is wrong that can be seen from outside
 */
export function releaseNote(settings: Settings): string | null {
  const { release, releaseOn } = settings;
  if (release === null) return null;
  const failing = `${releaseOn.map((moment) => articles[moment]).join(' and ')} would fail`;
  return commandNote('release', release, settings, failing);
}
