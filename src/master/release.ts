/** The release command: run once per reload, before any worker of the new generation. */
import type { Settings } from '../config/resolved.ts';
import { withoutSecrets } from '../config/show.ts';
import { ReleaseError } from '../errors.ts';
import { commandNote } from './command/note.ts';
import { runCommand } from './command/run.ts';
import type { Logger } from './log/logger.ts';

/**
 * Runs it, its output into the log line by line.
 *
 * @throws ReleaseError if it fails, or does not end within `releaseTimeout`
 */
export async function runRelease(settings: Settings, logger: Logger, signal: AbortSignal): Promise<void> {
  const { release, releaseTimeout } = settings;
  if (release === null) return;
  const { failure } = await runCommand({
    name: 'release',
    command: release,
    settings,
    timeout: releaseTimeout,
    timeoutName: 'releaseTimeout',
    logger,
    signal,
    endsAll: false,
  });
  if (failure !== null) throw new ReleaseError(`release command "${withoutSecrets(release)}" ${failure}`);
}

/** Why the release command cannot be run, found without running it; see {@link commandNote}. */
export function releaseNote(settings: Settings): string | null {
  return commandNote('release', settings.release, settings);
}
