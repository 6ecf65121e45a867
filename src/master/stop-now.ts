/** What an error means that the service cannot go on with. */
import type { Event } from '../core/events.ts';
import { exitStatus, messageOf } from '../errors.ts';
import { type Logger, logLines } from './log/logger.ts';

/** Logs the error and stops the service at once, with the exit status of a failure. */
export function stopNow(
  error: unknown,
  { logger, post }: { readonly logger: () => Logger; readonly post: (event: Event) => void },
): void {
  logLines(logger(), 'fatal', messageOf(error));
  post({ type: 'stopRequested', kind: 'quick', status: exitStatus.failure });
}
