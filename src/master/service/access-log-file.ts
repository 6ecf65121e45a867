/** Workers that run as another user cannot make a file where the log belongs: the master makes it, and gives it to them. */
import { closeSync } from 'node:fs';
import type { Settings } from '../../config/resolved.ts';
import { openLogFile, openLogFileFor } from '../../system/log-file.ts';

/**
 * To be called before workers are told to open it.
 *
 * @throws FileError if it cannot be opened
 */
export function prepareAccessLog({ accessLog, identity }: Pick<Settings, 'accessLog' | 'identity'>): void {
  if (accessLog === null || accessLog === '-') return;
  const what = 'access log';
  closeSync(identity === null ? openLogFile(accessLog, what) : openLogFileFor(accessLog, what, identity));
}
