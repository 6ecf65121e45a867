/** From the command line to a running master. */
import { loadSettings } from '../config/load.ts';
import { passedSockets } from '../config/passed.ts';
import type { LoadRequest, Settings } from '../config/resolved.ts';
import { exitStatus, PreforkError } from '../errors.ts';
import { supportsReusePort } from '../ipc/node-internals.ts';
import { type Caller, daemonise } from '../master/daemon.ts';
import { Listeners } from '../master/listeners.ts';
import { Pidfile } from '../master/pidfile.ts';
import { inheritedSockets } from '../master/rights.ts';
import { listenToSignals } from '../master/signals.ts';
import { masterTitle } from '../master/title.ts';
import { openLog } from '../telemetry/logger.ts';
import { openFirst } from './generations.ts';
import { Master } from './master.ts';
import { noticesFor } from './notices.ts';

/** pino's number for `error`. */
const errorLevel = 50;

/**
 * Runs the service until it is stopped; the process then exits.
 *
 * @throws PreforkError where it cannot be started: nothing is left behind then
 */
export async function start(given: LoadRequest, caller: Caller): Promise<void> {
  const request = { ...given, passed: passedSockets(given.env, process.pid) };
  process.title = masterTitle('');
  const inherited = inheritedSockets();
  // The master's own files do not depend on who starts it; its workers get the caller's mask.
  process.umask(0o022);
  let master: Master | null = null;
  let listeners: Listeners | null = null;
  const stopListening = listenToSignals((_signal, event) => {
    if (master !== null) return master.post(event);
    if (event.type !== 'stopRequested') return;
    // Nothing runs yet, so there is nothing to wait for.
    listeners?.closeAll();
    process.exit(exitStatus.ok);
  });

  const settings = await loadSettings(request);
  if (settings.daemon && !caller.waits) {
    stopListening();
    await daemonise({ output: settings.errorLog, umask: request.umask ?? process.umask() });
  }
  process.title = masterTitle(settings.name);
  const log = await openLog({
    name: settings.name,
    level: settings.logLevel,
    format: settings.logFormat,
    file: settings.errorLog,
    tee: caller.waits ? (line) => tellErrors(caller, line) : null,
  });
  const { logger } = log;
  try {
    if (settings.pidfile !== null) new Pidfile(settings.pidfile).check();
    for (const notice of noticesFor(settings, request.passed)) logger.warn(notice);
    if (process.geteuid?.() === 0 && settings.user === null)
      logger.warn('started as root without user: the workers have all rights of root; set user (-u)');
    const queueCount = queueCountFor(settings);
    listeners = new Listeners({
      queues: queueCount,
      socketMode: settings.socketMode,
      socketOwner: settings.socketOwner,
    });
    await openFirst(listeners, settings, logger);
    logger.info(
      { pid: process.pid, node: process.version, workers: settings.workers, app: settings.app.path },
      `prefork starts ${settings.workers} workers for ${settings.app.given}${bindText(listeners)}`,
    );
    master = new Master({ request, settings, log, listeners, queueCount, inherited, onReady: () => caller.release() });
    await master.start();
  } catch (error) {
    listeners?.closeAll();
    if (!(error instanceof PreforkError)) throw error;
    logger.fatal({ code: error.code }, error.message);
    await log.flush();
    process.exit(error.exitStatus);
  }
}

/** The errors of a start are told to who waits for it; the log has them too, but may be nowhere. */
function tellErrors(caller: Caller, line: string): void {
  if (!caller.waits) return;
  const { level, msg, err } = JSON.parse(line) as { level: number; msg?: string; err?: { stack?: string } };
  if (level >= errorLevel) caller.tell([msg, err?.stack].filter((text) => text !== undefined).join('\n'));
}

function queueCountFor(settings: Settings): number {
  return settings.queues === 'per-worker' && supportsReusePort() ? settings.workers : 1;
}

function bindText(listeners: Listeners): string {
  const labels = listeners.all().map(({ label }) => label);
  return labels.length === 0 ? '' : ` on ${labels.join(', ')}`;
}
