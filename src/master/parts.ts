/** Everything the master consists of, tied together. What it does with them is in the files beside this one. */
import type { LoadRequest, Settings } from '../config/resolved.ts';
import type { Action } from '../core/actions.ts';
import type { Event } from '../core/events.ts';
import { type Fleet, initialFleet, type ReloadOutcome, type UpgradeOutcome } from '../core/model.ts';
import type { BindError } from '../errors.ts';
import type { WorkerMessage } from '../protocol/messages.ts';
import type { Status } from '../protocol/status.ts';
import { Arbiter } from './arbiter.ts';
import { Admin } from './claims/admin-address.ts';
import { Control } from './claims/control-socket.ts';
import { ServiceManager } from './claims/main-process.ts';
import type { Pidfile } from './claims/pidfile.ts';
import { Generations } from './generations.ts';
import type { Log } from './log/logger.ts';
import { logObserver } from './log/observer.ts';
import { Timeline } from './log/timeline.ts';
import { Metrics } from './metrics/metrics.ts';
import { Statsd } from './metrics/statsd.ts';
import { Events } from './operator/events.ts';
import { statusOf } from './operator/status.ts';
import { Outcomes, UpgradeOutcomes } from './outcomes.ts';
import { policyFrom } from './policy.ts';
import { Handover } from './sockets/grants.ts';
import type { Listeners } from './sockets/listeners.ts';
import { Stuck } from './stuck/stuck.ts';
import type { Counted } from './upgrade/channel.ts';
import type { Command } from './upgrade/own-command.ts';
import type { Predecessor } from './upgrade/predecessor.ts';
import { Succession } from './upgrade/succession.ts';
import { Failures } from './workers/complaints.ts';
import { ServiceHealth } from './workers/health.ts';
import { Pool } from './workers/pool.ts';
import { Rates } from './workers/rates.ts';
import { Sentinel } from './workers/sentinel.ts';

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

/** What the master does itself. */
export interface PartsHooks {
  readonly act: (action: Action, fleet: Fleet) => void;
  readonly onPoolEvent: (event: Event) => void;
  readonly onMessage: (id: number, message: WorkerMessage) => void;
  readonly onBindError: (error: BindError) => void;
  readonly pidfile: () => Pidfile | null;
  /** A new master had the pidfile, and is gone. */
  readonly restorePidfile: () => void;
}

export class Parts {
  readonly log: Log;
  readonly listeners: Listeners;
  readonly generations: Generations;
  readonly pool: Pool;
  readonly handover: Handover;
  readonly arbiter: Arbiter;
  readonly failures: Failures;
  readonly stuck: Stuck;
  readonly health: ServiceHealth;
  readonly control: Control;
  readonly admin: Admin;
  readonly outcomes = new Outcomes();
  readonly upgradeOutcomes = new UpgradeOutcomes();
  readonly succession: Succession;
  readonly timeline = new Timeline();
  readonly events = new Events({ status: () => this.status(), timeline: this.timeline });
  readonly rates = new Rates();
  readonly metrics: Metrics;
  readonly statsd: Statsd;
  readonly serviceManager: ServiceManager;
  readonly sentinel = new Sentinel();

  constructor(options: MasterOptions, hooks: PartsHooks) {
    const { request, settings, log, listeners, queueCount, inherited, predecessor } = options;
    const logger = () => log.logger;
    this.log = log;
    this.listeners = listeners;
    this.generations = new Generations({ request, listeners, logger, first: settings });
    this.failures = new Failures(logger, this.timeline);
    this.metrics = new Metrics({
      status: () => this.status(),
      lostLines: () => ({ log: log.lost(), access: this.failures.lostLines }),
      isCounting: () => this.generations.current.metrics,
    });
    this.statsd = new Statsd(
      () => this.metrics.families(),
      () => this.generations.current,
    );
    this.arbiter = new Arbiter({
      fleet: {
        ...initialFleet(policyFrom(settings), queueCount),
        predecessor: predecessor === null ? 'none' : 'serves',
      },
      act: hooks.act,
      onTurn: (fleet) => {
        this.health.spread(fleet);
        this.outcomes.onTurn(fleet);
        this.upgradeOutcomes.onTurn(fleet);
        this.succession.onTurn(fleet);
        this.serviceManager.onTurn(fleet);
        this.metrics.onTurn(fleet);
      },
      observers: [
        logObserver(({ level, fields, message }) => log.logger[level](fields, message)),
        this.timeline,
        this.metrics,
      ],
    });
    this.pool = new Pool({
      onEvent: hooks.onPoolEvent,
      onMessage: hooks.onMessage,
      onOutput: ({ stream, ...from }, line) =>
        log.logger[stream === 'stderr' ? 'warn' : 'info']({ ...from, stream }, line),
    });
    this.health = new ServiceHealth({ pool: this.pool, settings: () => this.generations.current });
    this.admin = new Admin({
      status: () => this.status(),
      events: this.events,
      metrics: (accept) => this.metrics.page(accept),
      names: () => this.generations.current.adminHosts,
      health: () => ({ report: this.health.report(this.fleet), components: this.health.components() }),
      logger,
    });
    this.control = new Control(
      {
        status: () => this.status(),
        events: this.events,
        settings: () => this.generations.current,
        metrics: (accept) => this.metrics.page(accept),
        post: (event) => this.post(event),
        reload: () => this.#reload(),
        fleet: () => this.fleet,
        upgrade: () => this.#upgrade(),
        logger,
      },
      request.env,
    );
    this.serviceManager = new ServiceManager({ env: request.env, logger, isMain: predecessor === null });
    this.stuck = new Stuck({
      pool: this.pool,
      logger,
      timeline: this.timeline,
      settingsOf: (generation) => this.generations.of(generation),
      onCaptured: (id) => this.post({ type: 'stackCaptured', id }),
    });
    this.handover = new Handover({
      listeners,
      pool: this.pool,
      inherited: new Set(inherited.keys()),
      logger,
      isStarting: () => this.arbiter.fleet.start === 'starting',
      onGiven: (id) => this.post({ type: 'workerListened', id }),
      onBindError: hooks.onBindError,
    });
    this.succession = new Succession({
      request,
      command: options.command,
      inherited,
      predecessor,
      listeners,
      control: this.control,
      admin: this.admin,
      serviceManager: this.serviceManager,
      settings: () => this.generations.current,
      pidfile: hooks.pidfile,
      announce: hooks.restorePidfile,
      bequeath: (heir) => {
        if (heir !== null) void this.statsd.report();
        this.statsd.silence(heir !== null);
        this.metrics.bequeath(heir);
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
      now: this.arbiter.now(),
      settings: this.generations.current,
      listeners: this.listeners.all(),
      health: this.health.report(fleet),
      rates: this.rates,
    });
  }

  get fleet(): Fleet {
    return this.arbiter.fleet;
  }

  post(event: Event): void {
    this.arbiter.post(event);
  }

  #reload(): Promise<ReloadOutcome | null> {
    const outcome = this.outcomes.ofNext(this.fleet);
    this.post({ type: 'reloadRequested' });
    return outcome;
  }

  #upgrade(): Promise<UpgradeOutcome | null> {
    const outcome = this.upgradeOutcomes.ofNext(this.fleet);
    this.post({ type: 'upgradeRequested' });
    return outcome;
  }

  /** What the old master has counted it has also told statsd; what its workers add now is ours to tell. */
  #inherit(counted: Counted | null): void {
    const isTotal = counted?.kind === 'traffic' && counted.total;
    if (isTotal) void this.statsd.report();
    this.metrics.inherit(counted);
    if (isTotal) this.statsd.rebase();
  }
}
