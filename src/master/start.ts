/** From the command line to a running master. */

import { loadSettings } from '../config/load.ts';
import { mostWorkers } from '../config/most-workers.ts';
import { type OnPrinted, toStderr } from '../config/probe/printed.ts';
import type { LoadRequest, Settings } from '../config/resolved.ts';
import type { Event } from '../core/events.ts';
import { sizeUnder } from '../core/model.ts';
import { exitStatus, messageOf, PreforkError, systemFailure } from '../errors.ts';
import { checkFree } from '../system/descriptors.ts';
import { supportsReusePort } from '../system/node-internals.ts';
import { passedSockets } from '../system/passed.ts';
import { socketInode } from '../system/socket-inode.ts';
import { checkPidfile, masterTitle, staleNote } from './claims/pidfile.ts';
import { openFirst } from './generations.ts';
import { type Logger, logLines, openLog } from './log/logger.ts';
import { logPrinted } from './log/printed.ts';
import { Master } from './master.ts';
import { inheritQueue, openQueue, type WorkerQueue } from './migration/queue.ts';
import { noticesFor } from './notices.ts';
import { releaseAtStart } from './release-at-start.ts';
import { prepareAccessLog } from './service/access-log-file.ts';
import { type Caller, daemonise } from './service/daemon.ts';
import { findNodemon, onceGone } from './service/nodemon.ts';
import { preloadNotice } from './service/own-preloads.ts';
import { inheritedSockets } from './service/rights.ts';
import { listenToSignals } from './service/signals.ts';
import { prepareSnapshotFolder } from './service/snapshot-folder.ts';
import { keepYoungGenerationSmall } from './service/young-generation.ts';
import { Listeners } from './sockets/listeners.ts';
import { ownCommand } from './upgrade/own-command.ts';
import type { Predecessor } from './upgrade/predecessor.ts';
import { cacheNotice } from './workers/compile-cache.ts';

/** Descriptors that the claims, the sentinel and the start of a worker take. */
const neededFree = 12;

/** Why a start ends that an operator ends. */
const stopped = new Error('it was told to');

/** pino's number for `error`. */
const errorLevel = 50;

/**
 * Runs the service until it is stopped; the process then exits.
 *
 * @throws PreforkError if it cannot be started: nothing is left behind then
 */
export async function start(given: LoadRequest, caller: Caller, predecessor: Predecessor | null = null): Promise<void> {
  keepYoungGenerationSmall();
  const request = { ...given, passed: predecessor?.bequest.passed ?? passedSockets(given.env, process.pid) };
  const command = ownCommand(request.cwd);
  process.title = masterTitle('');
  const inherited = new Map(
    [...(predecessor?.bequest.inherited ?? inheritedSockets())].map((fd) => [fd, socketInode(fd)]),
  );
  // The master's own files do not depend on the caller's mask; its workers get that one.
  process.umask(0o022);
  let master: Master | null = null;
  let listeners: Listeners | null = null;
  const early: Event[] = [];
  let releasing: AbortController | null = null;
  const nodemon = findNodemon();
  const stopListening = listenToSignals({ nodemon: nodemon !== null }, (_signal, event) => {
    if (master !== null) return master.post(event);
    // What is read meanwhile may be older than the order.
    if (event.type !== 'stopRequested') return void early.push(event);
    // The start ends when the command has.
    if (releasing !== null) return releasing.abort(stopped);
    // Nothing runs yet, so there is nothing to wait for.
    listeners?.closeAll();
    process.exit(exitStatus.ok);
  });

  const printed: Parameters<OnPrinted>[] = [];
  const keep: OnPrinted = (...line) => void printed.push(line);
  const settings = await loadSettings(request, undefined, keep).catch((error: unknown) => {
    for (const each of printed) toStderr(...each);
    throw error;
  });
  if (settings.daemon && !caller.waits && predecessor === null) {
    stopListening();
    // The log has what it prints to the process in the background.
    for (const each of printed) toStderr(...each);
    await daemonise({ output: settings.errorLog, umask: request.umask ?? process.umask() });
  }
  process.title = masterTitle(settings.name);
  const log = await openLog({
    name: settings.name,
    level: settings.logLevel,
    format: settings.logFormat,
    file: settings.errorLog,
    tee: caller.waits || predecessor !== null ? (line) => tellErrors([caller, predecessor], line) : null,
  });
  const { logger } = log;
  const logEach = logPrinted(logger);
  for (const [line] of printed) logEach(line);
  try {
    if (settings.pidfile !== null) {
      checkPidfile(settings.pidfile, predecessor?.bequest.pid);
      const stale = staleNote(settings.pidfile);
      if (stale !== null) logger.info(stale);
    }
    prepareAccessLog(settings);
    prepareSnapshotFolder(settings);
    for (const notice of noticesFor(settings, request.passed)) logger.warn(notice);
    const uncached = cacheNotice(settings);
    if (uncached !== null) logger.warn(uncached);
    if (nodemon !== null)
      logger.info('nodemon has started this master: SIGUSR2 stops it, and so does the end of nodemon');
    const preloads = preloadNotice();
    if (preloads !== null) logger.warn(preloads);
    if (process.geteuid?.() === 0 && settings.user === null)
      logger.warn('started as root without user: the workers have all rights of root; set user (-u)');
    releasing = new AbortController();
    await releaseAtStart({ settings, env: request.env, logger, predecessor, abort: releasing });
    releasing.signal.throwIfAborted();
    releasing = null;
    const bequeathed = predecessor?.bequest.listeners ?? [];
    const queues = queueCountFor(settings);
    // What waits in any queue is served, also if there were more of them.
    const queueCount = Math.max(queues, ...bequeathed.map(({ fds }) => fds.length));
    const { socketMode, socketOwner } = settings;
    listeners = new Listeners({ queues, socketMode, socketOwner }, bequeathed);
    await openFirst(listeners, settings, logger);
    const first = sizeUnder(settings, predecessor?.bequest.wanted ?? 0);
    logger.info(
      { pid: process.pid, node: process.version, workers: first, app: settings.app.path },
      `prefork starts ${first} workers${upTo(settings)} for ${settings.app.given}${bindText(listeners)}`,
    );
    const queue = await queueFor(predecessor, logger);
    checkFree(neededFree);
    master = new Master({
      request,
      settings,
      log,
      listeners,
      queueCount,
      queue,
      inherited,
      command,
      predecessor,
      onReady: () => caller.release(),
    });
    const running = master;
    if (nodemon !== null) onceGone(nodemon, () => running.post({ type: 'stopRequested', kind: 'graceful' }));
    await master.start();
    for (const event of early) master.post(event);
  } catch (error) {
    listeners?.closeAll();
    const refused = systemFailure(error);
    if (releasing?.signal.aborted === true) {
      logger.info(`stopped before there was a service: ${messageOf(releasing.signal.reason)}`);
      await log.flush();
      process.exit(releasing.signal.reason === stopped ? exitStatus.ok : exitStatus.failure);
    }
    if (error instanceof PreforkError) logLines(logger, 'fatal', error.message, { code: error.code });
    else if (refused !== null) logger.fatal({ err: error }, refused);
    else logger.fatal({ err: error }, 'the start failed, this is a bug in prefork, please report it');
    await log.flush();
    process.exit(error instanceof PreforkError ? error.exitStatus : exitStatus.failure);
  }
}

/** Tells the errors of a start to the process that waits for it; the log has them too, but may lead nowhere. */
function tellErrors(observers: readonly (Pick<Caller, 'tell'> | null)[], line: string): void {
  const { level, msg, err } = JSON.parse(line) as { level: number; msg?: string; err?: { stack?: string } };
  if (level < errorLevel) return;
  for (const each of observers) each?.tell([msg, err?.stack].filter((text) => text !== undefined).join('\n'));
}

/** Without it everything else works: connections end with their workers. */
async function queueFor(predecessor: Predecessor | null, logger: Logger): Promise<WorkerQueue | null> {
  const inherited = predecessor?.bequest.queue ?? null;
  if (inherited !== null) return inheritQueue(inherited);
  return await openQueue().catch((error: unknown) => {
    logger.warn(`connections cannot move between workers: ${messageOf(error)}`);
    return null;
  });
}

function queueCountFor(settings: Settings): number {
  return settings.queues === 'per-worker' && supportsReusePort() ? mostWorkers(settings) : 1;
}

/** A range is told by its upper end: the lower one is what it starts with. */
function upTo({ autoscale }: Settings): string {
  return autoscale === null ? '' : `, and up to ${autoscale.max} by load,`;
}

function bindText(listeners: Listeners): string {
  const labels = listeners.all().map(({ label }) => label);
  return labels.length === 0 ? '' : ` on ${labels.join(', ')}`;
}
