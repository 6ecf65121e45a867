/** Everything the master consists of, tied together. What it does with them is in the files beside this one. */
import type { LoadRequest, Settings } from '../config/resolved.ts';
import { Events } from '../control/events.ts';
import type { Status } from '../control/status.ts';
import type { Action } from '../core/actions.ts';
import type { Event } from '../core/events.ts';
import { type Fleet, initialFleet, type ReloadOutcome, type UpgradeOutcome } from '../core/model.ts';
import type { BindError } from '../errors.ts';
import type { WorkerMessage } from '../ipc/messages.ts';
import type { Pidfile } from '../master/service/pidfile.ts';
import type { Listeners } from '../master/sockets/listeners.ts';
import type { Counted } from '../master/upgrade/channel.ts';
import type { Command } from '../master/upgrade/own-command.ts';
import type { Predecessor } from '../master/upgrade/predecessor.ts';
import { Pool } from '../master/workers/pool.ts';
import { Sentinel } from '../master/workers/sentinel.ts';
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
import { policyFrom } from './policy.ts';
import { Rates } from './rates.ts';
import { ServiceManager } from './service-manager.ts';
import { statusOf } from './status.ts';
import { Stuck } from './stuck.ts';
import { Succession } from './succession.ts';

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
      logger,
      act: hooks.act,
      onTurn: (fleet) => {
        this.health.spread(fleet);
        this.outcomes.onTurn(fleet);
        this.upgradeOutcomes.onTurn(fleet);
        this.succession.onTurn(fleet);
        this.serviceManager.onTurn(fleet);
        this.metrics.onTurn(fleet);
      },
      witnesses: [this.timeline, this.metrics],
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
      onCaptured: (id) => this.post({ type: 'captured', id }),
    });
    this.handover = new Handover({
      listeners,
      pool: this.pool,
      inherited: new Set(inherited.keys()),
      logger,
      isStarting: () => this.arbiter.fleet.start === 'starting',
      onGiven: (id) => this.post({ type: 'listened', id }),
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
