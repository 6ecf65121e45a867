/** The ends of the master's process: the one that was decided on, and the one by a bug. */
import { exitStatus } from '../errors.ts';
import { within } from '../system/within.ts';
import type { Parts } from './parts.ts';

/** Milliseconds that the last figures may take on their way to statsd. */
const lastReport = 200;

/** Ends the process; nothing of it is left behind. */
export async function end(status: number, parts: Parts): Promise<void> {
  const { arbiter, claims, events, leadership, listeners, log, notifier, sentinel, statsd, succession } = parts;
  process.exitCode = status;
  arbiter.end();
  leadership.release();
  await succession.leave();
  sentinel.stop();
  listeners.closeAll();
  events.end();
  await claims.release();
  await Promise.all([within(statsd.report(), lastReport), notifier.finish()]);
  await log.flush();
  process.exit(status);
}

/**
 * A bug in the master. A half-broken master is worse than none: it ends, its workers see that, finish what they have
 * and go, and the service manager starts anew.
 */
export function crash(error: unknown, { arbiter, claims, listeners, log, succession }: Parts): void {
  process.exitCode = exitStatus.failure;
  log.logger.fatal({ err: error }, 'the master failed, this is a bug in prefork; the workers drain and exit');
  arbiter.end();
  succession.crash(arbiter.fleet.upgrade.state === 'ending');
  listeners.closeAll();
  void claims.release();
  void log.flush().then(() => process.exit(exitStatus.failure));
}
