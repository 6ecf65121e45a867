/** The release command of a start, or of an upgrade: it runs before the service binds to anything and starts any worker. */
import type { Settings } from '../config/resolved.ts';
import { BindError, UpgradeError } from '../errors.ts';
import { pause } from '../system/pause.ts';
import { Notifier } from './claims/systemd.ts';
import type { Logger } from './log/logger.ts';
import { runRelease } from './release.ts';
import { tryToBind } from './sockets/attempt.ts';
import { resolveTarget } from './sockets/bind.ts';
import type { Predecessor } from './upgrade/predecessor.ts';

/** Milliseconds by which a service manager is asked to wait longer, again and again. */
const extension = 30_000;
const extendEvery = 10_000;
/** As the start itself tries again. */
const bindRetries = 5;
const bindRetryDelay = 1_000;

export interface StartRelease {
  readonly settings: Settings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly predecessor: Predecessor | null;
  /** Ends the command. */
  readonly abort: AbortController;
}

/**
 * Runs it, if the settings want it at this moment.
 *
 * @throws ReleaseError as {@link runRelease}
 * @throws BindError if another service has an address of this one: it would have been run in vain
 */
export async function releaseAtStart({ settings, env, logger, predecessor, abort }: StartRelease): Promise<void> {
  const moment = predecessor === null ? 'start' : 'upgrade';
  if (settings.release === null || !settings.releaseOn.includes(moment)) return;
  predecessor?.onGivenUp(() => abort.abort(new UpgradeError('the upgrade was given up')));
  if (predecessor === null) await seeAddressesFree(settings, abort.signal);
  // At an upgrade the old master is who the service manager listens to.
  const notifier = predecessor === null ? new Notifier({ env, warn: (message) => logger.warn(message) }) : null;
  const extend = (): void => {
    notifier?.status('starting, the release command runs');
    notifier?.extend(extension);
  };
  extend();
  const timer = setInterval(extend, extendEvery);
  try {
    await runRelease(settings, logger, abort.signal, moment);
  } finally {
    clearInterval(timer);
    // What it says last must not come after what the master says.
    await notifier?.end();
  }
}

/** Nothing listens yet: clients and load balancers are to be refused until there is a service. */
async function seeAddressesFree(settings: Settings, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      for (const address of settings.bind) await tryToBind(await resolveTarget(address), settings);
      return;
    } catch (error) {
      const isTaken = error instanceof BindError && error.errno === 'EADDRINUSE';
      if (!isTaken || attempt >= bindRetries) throw error;
    }
    await pause(bindRetryDelay);
  }
}
