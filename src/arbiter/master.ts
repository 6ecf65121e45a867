/** The master: ties the arbiter to its adapters. Owns no decision of its own. */
import type { LoadRequest, Settings } from '../config/resolved.ts';
import { Events } from '../control/events.ts';
import type { Status } from '../control/status.ts';
import type { Action } from '../core/actions.ts';
import type { Event } from '../core/events.ts';
import { findWorker } from '../core/fleet.ts';
import { type Fleet, initialFleet, type ReloadOutcome, type UpgradeOutcome } from '../core/model.ts';
import { type BindError, exitStatus, messageOf, PreforkError } from '../errors.ts';
import type { WorkerMessage } from '../ipc/messages.ts';
import { prepareAccessLog } from '../master/access-log-file.ts';
import type { Listeners } from '../master/listeners.ts';
import type { Command } from '../master/own-command.ts';
import { Pidfile } from '../master/pidfile.ts';
import { Pool } from '../master/pool.ts';
import type { Predecessor } from '../master/predecessor.ts';
import { Sentinel } from '../master/sentinel.ts';
import { masterTitle } from '../master/title.ts';
import type { Counted } from '../master/upgrade-channel.ts';
import type { Log } from '../telemetry/logger.ts';
import { Statsd } from '../telemetry/metrics/statsd.ts';
import { Timeline } from '../telemetry/timeline.ts';
import { Admin } from './admin.ts';
import { Arbiter } from './arbiter.ts';
import { Control } from './control.ts';
import { Failures } from './failures.ts';
import { Generations } from './generations.ts';
import { Handover } from './handover.ts';
import { ServiceHealth } from './health.ts';
import { Metrics } from './metrics.ts';
import { Outcomes, UpgradeOutcomes } from './outcomes.ts';
import { drawLimits, policyFrom } from './policy.ts';
import { Rates } from './rates.ts';
import { ServiceManager } from './service-manager.ts';
import { statusOf } from './status.ts';
import { Stuck } from './stuck.ts';
import { Succession } from './succession.ts';

/** Milliseconds between two looks at the control socket's file. */
const controlEvery = 5_000;

export interface MasterOptions {
  readonly request: LoadRequest;
  readonly settings: Settings;
  readonly log: Log;
  readonly listeners: Listeners;
  readonly queueCount: number;
  /** Sockets that were open when the master started, and their inodes. */
  readonly inherited: ReadonlyMap<number, string | null>;
  readonly command: Command;
  /** The master that this one is to replace. */
  readonly predecessor: Predecessor | null;
  /** The first worker is ready, and the pidfile is written. */
  readonly onReady: () => void;
}

export class Master {
  readonly #log: Log;
  readonly #listeners: Listeners;
  readonly #generations: Generations;
  readonly #pool: Pool;
  readonly #handover: Handover;
  readonly #arbiter: Arbiter;
  readonly #failures: Failures;
  readonly #stuck: Stuck;
  readonly #health: ServiceHealth;
  readonly #control: Control;
  readonly #admin: Admin;
  readonly #outcomes = new Outcomes();
  readonly #upgradeOutcomes = new UpgradeOutcomes();
  readonly #succession: Succession;
  readonly #timeline = new Timeline();
  readonly #events = new Events({ status: () => this.status(), timeline: this.#timeline });
  readonly #rates = new Rates();
  readonly #metrics: Metrics;
  readonly #statsd: Statsd;
  readonly #onReady: () => void;
  readonly #serviceManager: ServiceManager;
  readonly #sentinel = new Sentinel();
  readonly #predecessor: Predecessor | null;
  #pidfile: Pidfile | null = null;
  #errorLog: string | null;

  constructor(options: MasterOptions) {
    const { request, settings, log, listeners, queueCount, inherited, onReady, predecessor } = options;
    this.#onReady = onReady;
    this.#errorLog = settings.errorLog;
    const logger = () => log.logger;
    this.#log = log;
    this.#listeners = listeners;
    this.#generations = new Generations({ request, listeners, logger, first: settings });
    this.#failures = new Failures(logger, this.#timeline);
    this.#metrics = new Metrics({
      status: () => this.status(),
      lostLines: () => ({ log: log.lost(), access: this.#failures.lostLines }),
      isCounting: () => this.#generations.current.metrics,
    });
    this.#statsd = new Statsd(
      () => this.#metrics.families(),
      () => this.#generations.current,
    );
    this.#arbiter = new Arbiter({
      fleet: {
        ...initialFleet(policyFrom(settings), queueCount),
        predecessor: predecessor === null ? 'none' : 'serves',
      },
      logger,
      act: (action, fleet) => this.#act(action, fleet),
      onTurn: (fleet) => {
        this.#health.spread(fleet);
        this.#outcomes.onTurn(fleet);
        this.#upgradeOutcomes.onTurn(fleet);
        this.#succession.onTurn(fleet);
        this.#serviceManager.onTurn(fleet);
        this.#metrics.onTurn(fleet);
      },
      witnesses: [this.#timeline, this.#metrics],
    });
    this.#pool = new Pool({
      onEvent: (event) => this.#onPoolEvent(event),
      onMessage: (id, message) => this.#onMessage(id, message),
      onOutput: ({ stream, ...from }, line) =>
        this.#log.logger[stream === 'stderr' ? 'warn' : 'info']({ ...from, stream }, line),
    });
    this.#health = new ServiceHealth({ pool: this.#pool, settings: () => this.#generations.current });
    this.#admin = new Admin({
      status: () => this.status(),
      events: this.#events,
      metrics: (accept) => this.#metrics.page(accept),
      health: () => ({ report: this.#health.report(this.fleet), components: this.#health.components() }),
      logger,
    });
    this.#control = new Control(
      {
        status: () => this.status(),
        events: this.#events,
        settings: () => this.#generations.current,
        metrics: (accept) => this.#metrics.page(accept),
        post: (event) => this.post(event),
        reload: () => this.#reload(),
        fleet: () => this.fleet,
        upgrade: () => this.#upgrade(),
        logger,
      },
      request.env,
    );
    this.#serviceManager = new ServiceManager({ env: request.env, logger, isMain: predecessor === null });
    this.#stuck = new Stuck({
      pool: this.#pool,
      logger,
      timeline: this.#timeline,
      settingsOf: (generation) => this.#generations.of(generation),
      onCaptured: (id) => this.post({ type: 'captured', id }),
    });
    this.#handover = new Handover({
      listeners,
      pool: this.#pool,
      inherited: new Set(inherited.keys()),
      logger,
      isStarting: () => this.#arbiter.fleet.start === 'starting',
      onGiven: (id) => this.post({ type: 'listened', id }),
      onBindError: (error) => this.#onBindError(error),
    });
    this.#predecessor = predecessor;
    this.#succession = new Succession({
      request,
      command: options.command,
      inherited,
      predecessor,
      listeners,
      control: this.#control,
      admin: this.#admin,
      serviceManager: this.#serviceManager,
      settings: () => this.#generations.current,
      pidfile: () => this.#pidfile,
      announce: () => this.#restorePidfile(),
      bequeath: (heir) => {
        if (heir !== null) void this.#statsd.report();
        this.#statsd.silence(heir !== null);
        this.#metrics.bequeath(heir);
      },
      inherit: (counted) => this.#inherit(counted),
      post: (event) => this.post(event),
      logger,
    });
  }

  status(): Status {
    const { fleet } = this;
    return statusOf({
      fleet,
      now: this.#arbiter.now(),
      settings: this.#generations.current,
      listeners: this.#listeners.all(),
      health: this.#health.report(fleet),
      rates: this.#rates,
    });
  }

  get fleet(): Fleet {
    return this.#arbiter.fleet;
  }

  /** @throws BindError where the admin address or the control socket that was configured cannot be used */
  async start(): Promise<void> {
    await this.#succession.open();
    // As Gunicorn: who waits for `<pidfile>.2` sees that an upgrade is under way.
    if (this.#predecessor !== null) this.#announce();
    setInterval(() => void this.#ensureControl(), controlEvery).unref();
    process.on('uncaughtException', (error) => this.#crash(error));
    this.#sentinel.start();
    this.#statsd.start();
    this.#sentinel.setGrace(this.#generations.current.gracefulTimeout);
    this.#sentinel.setSockets(this.#listeners.fds());
    this.#arbiter.post({ type: 'ticked' });
  }

  post(event: Event): void {
    this.#arbiter.post(event);
  }

  #reload(): Promise<ReloadOutcome | null> {
    const outcome = this.#outcomes.ofNext(this.fleet);
    this.post({ type: 'reloadRequested' });
    return outcome;
  }

  #upgrade(): Promise<UpgradeOutcome | null> {
    const outcome = this.#upgradeOutcomes.ofNext(this.fleet);
    this.post({ type: 'upgradeRequested' });
    return outcome;
  }

  async #ensureControl(): Promise<void> {
    if (this.fleet.stopping !== null) return;
    await this.#control.ensure().catch((error: unknown) => this.#log.logger.error(messageOf(error)));
  }

  /** What the old master has counted it has also told statsd; what its workers add now is ours to tell. */
  #inherit(counted: Counted | null): void {
    const isTotal = counted?.kind === 'traffic' && counted.total;
    if (isTotal) void this.#statsd.report();
    this.#metrics.inherit(counted);
    if (isTotal) this.#statsd.rebase();
  }

  #act(action: Action, fleet: Fleet): void {
    switch (action.type) {
      case 'spawn': {
        const settings = this.#generations.of(action.generation);
        this.#pool.spawn({ ...action, settings, limits: drawLimits(settings) });
        return;
      }
      case 'drain': {
        const settings = this.#generations.of(findWorker(fleet, action.id)?.generation ?? fleet.generation);
        const { drainLinger: linger, rejectWhileDraining } = settings;
        const reject = rejectWhileDraining && action.reason === 'shutdown';
        this.#pool.send(action.id, { type: 'drain', within: action.within, linger, quick: action.quick, reject });
        return;
      }
      case 'kill':
        this.#pool.signal(action.id, action.signal);
        if (action.reason === 'stuck') void this.#stuck.aborted(action.id, fleet);
        return;
      case 'capture':
        void this.#stuck.capture(action.id, action.fatal, fleet);
        return;
      case 'assign':
        this.#handover.assign(action.id, action.queues);
        return;
      case 'prepare':
        this.#prepare(action.reload, action.generation, action.rollback !== null);
        return;
      case 'promote':
        this.#generations.promote();
        this.#apply(this.#generations.current);
        return;
      case 'reject':
        this.#generations.reject();
        return;
      case 'complete':
        this.#closeUnused(fleet);
        this.#generations.forget(new Set(fleet.workers.map((worker) => worker.generation)));
        return;
      case 'announce':
        // Without the pidfile that was asked for the start has failed, whoever waits for it.
        if (!this.#announce()) return;
        this.#serviceManager.announce();
        this.#onReady();
        return;
      case 'unlisten':
        this.#handover.end();
        this.#listeners.closeAll();
        return;
      case 'exit':
        void this.#exit(action.status);
        return;
      case 'reopen':
        this.#reopenLogs();
        return;
      case 'started':
        this.#succession.ready();
        return;
      case 'upgrade':
        this.#succession.upgrade();
        return;
      case 'yield':
        this.#succession.yield(action.reload);
        return;
      case 'abandon':
        this.#succession.abandon(action.reason);
        return;
      case 'halt':
        return;
    }
  }

  #prepare(reload: number, generation: number, isRollback: boolean): void {
    this.#generations.prepare(generation, isRollback).then(
      (settings) => this.post({ type: 'prepared', reload, policy: policyFrom(settings) }),
      (error: unknown) => {
        if (!(error instanceof PreforkError)) this.#log.logger.debug({ err: error }, 'reload: preparation failed');
        this.post({ type: 'prepareFailed', reload, reason: messageOf(error) });
      },
    );
  }

  /** Takes a new generation's settings for the master itself into force. */
  #apply(settings: Settings): void {
    this.#log.logger.level = settings.logLevel;
    if (settings.errorLog !== this.#errorLog) this.#log.reopen(settings.errorLog);
    this.#errorLog = settings.errorLog;
    process.title = masterTitle(settings.name);
    this.#sentinel.setGrace(settings.gracefulTimeout);
    for (const problem of this.#listeners.setRights(settings)) this.#log.logger.warn(problem);
    void this.#ensureControl();
    this.#admin.ensure(settings.admin).catch((error: unknown) => this.#log.logger.error(messageOf(error)));
    if (settings.pidfile === (this.#pidfile?.path ?? null) || this.fleet.start === 'starting') return;
    this.#pidfile?.remove();
    this.#pidfile = null;
    this.#announce();
  }

  #reopenLogs(): void {
    this.#log.reopen();
    try {
      prepareAccessLog(this.#generations.current);
    } catch (error) {
      this.#log.logger.warn(`${messageOf(error)}; the access log goes on where it was`);
    }
    for (const { id } of this.fleet.workers) this.#pool.send(id, { type: 'reopen' });
  }

  /** @returns whether the pidfile is there, where one is wanted */
  #announce(): boolean {
    const { pidfile } = this.#generations.current;
    if (pidfile === null || this.#pidfile !== null) return true;
    this.#pidfile = new Pidfile(pidfile, this.#succession.isInCharge ? null : (this.#predecessor?.bequest.pid ?? null));
    try {
      this.#pidfile.write();
    } catch (error) {
      this.#log.logger.fatal(messageOf(error));
      if (this.fleet.reload.state === 'idle')
        this.post({ type: 'stopRequested', kind: 'quick', status: exitStatus.failure });
      return false;
    }
    return true;
  }

  /** A new master had it, and is gone. */
  #restorePidfile(): void {
    this.#pidfile = null;
    this.#announce();
  }

  #onPoolEvent(event: Event): void {
    if (event.type === 'spawned') this.#sentinel.add(event.pid);
    if (event.type === 'exited' || event.type === 'spawnFailed') {
      const pid = findWorker(this.fleet, event.id)?.pid;
      if (pid !== undefined && pid !== null) this.#sentinel.delete(pid);
      this.#handover.forget(event.id);
      this.#health.forget(event.id);
      this.#rates.forget(event.id);
      this.#metrics.forget(event.id);
    }
    this.post(event);
  }

  #onMessage(id: number, message: WorkerMessage): void {
    const worker = findWorker(this.fleet, id);
    if (worker === undefined) return;
    switch (message.type) {
      case 'listen':
        void this.#handover
          .answer(id, message, this.#generations.of(worker.generation))
          .finally(() => this.#sentinel.setSockets(this.#listeners.fds()));
        return;
      case 'unlisten':
        this.#handover.unlisten(id, message.listener);
        return;
      case 'ready':
        this.post({ type: 'readied', id });
        return;
      case 'beat':
        this.#rates.onBeat(id, message.figures.requests, performance.now());
        this.post({ type: 'beaten', id, figures: message.figures });
        return;
      case 'traffic':
        this.#metrics.onTraffic(message.delta);
        return;
      case 'app-metrics':
        this.#metrics.onAppMetrics(id, message.metrics);
        return;
      case 'failed':
        this.#failures.report(worker, message.error);
        this.post({ type: 'failed', id, kind: message.kind, reason: firstLine(message.error) });
        return;
      case 'health': {
        const reason = this.#health.onChecks(id, message.checks);
        if (reason !== worker.hindrance) this.post({ type: 'hindered', id, reason });
        else this.#health.spread(this.fleet);
        return;
      }
      case 'log-trouble':
        this.#failures.reportLogTrouble(worker, message);
        return;
      case 'short':
        this.#failures.reportShortage(worker, message);
        return;
      case 'asked':
        this.post({ type: 'asked', id });
        return;
      case 'draining':
        this.#failures.reportDraining(worker, message);
        return;
      case 'drained':
        this.#failures.reportDrained(worker, message);
        return;
    }
  }

  /** Listeners that neither the configuration names nor a worker uses. */
  #closeUnused(fleet: Fleet): void {
    const used = this.#handover.keysOf(fleet.workers.filter((w) => w.phase.name === 'ready').map((w) => w.id));
    void this.#listeners.openAll(this.#generations.current.bind, this.#generations.current.backlog).then(
      ({ listeners }) => {
        for (const { key } of listeners) used.add(key);
        for (const { key } of this.#listeners.all()) if (!used.has(key)) this.#listeners.close(key);
        this.#sentinel.setSockets(this.#listeners.fds());
      },
      () => {},
    );
  }

  #onBindError(error: BindError): void {
    this.#log.logger.fatal(error.message);
    this.post({ type: 'stopRequested', kind: 'quick', status: exitStatus.failure });
  }

  async #exit(status: number): Promise<void> {
    this.#arbiter.end();
    await this.#succession.leave();
    this.#sentinel.stop();
    this.#listeners.closeAll();
    this.#events.end();
    this.#control.close();
    this.#admin.close();
    this.#pidfile?.remove();
    await this.#serviceManager.end();
    await Promise.race([this.#statsd.report(), new Promise((resolve) => setTimeout(resolve, 200))]);
    await this.#log.flush();
    process.exit(status);
  }

  /**
   * A bug in the master. A half-broken master is worse than none: it ends, its workers see that, finish what they have
   * and go, and the service manager starts anew.
   */
  #crash(error: unknown): void {
    process.exitCode = exitStatus.failure;
    this.#log.logger.fatal({ err: error }, 'the master failed, this is a bug in prefork; the workers drain and exit');
    this.#arbiter.end();
    this.#succession.crash(this.fleet.upgrade.state === 'ending');
    this.#listeners.closeAll();
    this.#control.close();
    this.#admin.close();
    this.#pidfile?.remove();
    void this.#log.flush().then(() => process.exit(exitStatus.failure));
  }
}

function firstLine(error: { readonly name: string; readonly message: string }): string {
  return `${error.name}: ${error.message.split('\n', 1)[0] ?? ''}`;
}
