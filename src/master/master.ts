/** The master: carries out what the arbiter decides, by its parts. Owns no decision of its own. */
import type { Action } from '../core/actions.ts';
import type { Event } from '../core/events.ts';
import { findWorker } from '../core/fleet.ts';
import type { Fleet } from '../core/model.ts';
import { type BindError, exitStatus, messageOf, PreforkError } from '../errors.ts';
import { within } from '../system/within.ts';
import { Presence } from './claims/claims.ts';
import { type MasterOptions, Parts } from './parts.ts';
import { drawLimits, policyFrom } from './policy.ts';
import { hearPool, hearWorker } from './reports.ts';

/** Milliseconds that the last figures may take on their way to statsd. */
const lastReport = 200;
/** Milliseconds between two looks at the control socket's file. */
const controlEvery = 5_000;

export class Master {
  readonly #parts: Parts;
  readonly #presence: Presence;
  readonly #options: MasterOptions;

  constructor(options: MasterOptions) {
    this.#options = options;
    this.#parts = new Parts(options, {
      act: (action, fleet) => this.#act(action, fleet),
      onPoolEvent: (event) => hearPool(this.#parts, event),
      onMessage: (id, message) => hearWorker(this.#parts, id, message),
      onBindError: (error) => this.#onBindError(error),
      pidfile: () => this.#presence.pidfile,
      restorePidfile: () => this.#presence.restorePidfile(),
    });
    this.#presence = new Presence(this.#parts, options.predecessor?.bequest.pid ?? null);
  }

  /** @throws BindError where the admin address or the control socket that was configured cannot be used */
  async start(): Promise<void> {
    await this.#parts.succession.open();
    // As Gunicorn: who waits for `<pidfile>.2` sees that an upgrade is under way.
    if (this.#options.predecessor !== null) this.#presence.announce();
    setInterval(() => void this.#presence.ensureControl(), controlEvery).unref();
    process.on('uncaughtException', (error) => this.#crash(error));
    this.#parts.sentinel.start();
    this.#parts.statsd.start();
    this.#parts.sentinel.setGrace(this.#parts.generations.current.gracefulTimeout);
    this.#parts.sentinel.setSockets(this.#parts.listeners.fds());
    this.#parts.arbiter.post({ type: 'ticked' });
  }

  post(event: Event): void {
    this.#parts.arbiter.post(event);
  }

  #act(action: Action, fleet: Fleet): void {
    switch (action.type) {
      case 'spawn': {
        const settings = this.#parts.generations.of(action.generation);
        this.#parts.pool.spawn({ ...action, settings, limits: drawLimits(settings) });
        return;
      }
      case 'drain': {
        const settings = this.#parts.generations.of(findWorker(fleet, action.id)?.generation ?? fleet.generation);
        const { drainLinger: linger, rejectWhileDraining } = settings;
        const reject = rejectWhileDraining && action.reason === 'shutdown';
        this.#parts.pool.send(action.id, { type: 'drain', within: action.within, linger, quick: action.quick, reject });
        return;
      }
      case 'kill':
        this.#parts.pool.signal(action.id, action.signal);
        if (action.reason === 'stuck') void this.#parts.stuck.aborted(action.id, fleet);
        return;
      case 'capture':
        void this.#parts.stuck.capture(action.id, action.fatal, fleet);
        return;
      case 'assign':
        this.#parts.handover.assign(action.id, action.queues);
        return;
      case 'prepare':
        this.#prepare(action.reload, action.generation, action.rollback !== null);
        return;
      case 'promote':
        this.#parts.generations.promote();
        this.#presence.apply(this.#parts.generations.current);
        return;
      case 'reject':
        this.#parts.generations.reject();
        return;
      case 'complete':
        this.#closeUnused(fleet);
        this.#parts.generations.forget(new Set(fleet.workers.map((worker) => worker.generation)));
        return;
      case 'declareReady':
        // Without the pidfile that was asked for the start has failed, whoever waits for it.
        if (!this.#presence.announce()) return;
        this.#parts.serviceManager.announce();
        this.#options.onReady();
        return;
      case 'unlisten':
        this.#parts.handover.end();
        this.#parts.listeners.closeAll();
        return;
      case 'exit':
        void this.#exit(action.status);
        return;
      case 'reopen':
        this.#presence.reopenLogs();
        return;
      case 'declareStarted':
        this.#parts.succession.ready();
        return;
      case 'upgrade':
        this.#parts.succession.upgrade();
        return;
      case 'yield':
        this.#parts.succession.yield(action.reload);
        return;
      case 'abandon':
        this.#parts.succession.abandon(action.reason);
        return;
      case 'halt':
        return;
    }
  }

  #prepare(reload: number, generation: number, isRollback: boolean): void {
    this.#parts.generations.prepare(generation, isRollback).then(
      (settings) => this.post({ type: 'reloadPrepared', reload, policy: policyFrom(settings) }),
      (error: unknown) => {
        if (!(error instanceof PreforkError))
          this.#parts.log.logger.debug({ err: error }, 'reload: preparation failed');
        this.post({ type: 'reloadPrepareFailed', reload, reason: messageOf(error) });
      },
    );
  }

  /** Listeners that neither the configuration names nor a worker uses. */
  #closeUnused(fleet: Fleet): void {
    const used = this.#parts.handover.keysOf(fleet.workers.filter((w) => w.phase.name === 'ready').map((w) => w.id));
    void this.#parts.listeners
      .openAll(this.#parts.generations.current.bind, this.#parts.generations.current.backlog)
      .then(
        ({ listeners }) => {
          for (const { key } of listeners) used.add(key);
          for (const { key } of this.#parts.listeners.all()) if (!used.has(key)) this.#parts.listeners.close(key);
          this.#parts.sentinel.setSockets(this.#parts.listeners.fds());
        },
        () => {},
      );
  }

  #onBindError(error: BindError): void {
    this.#parts.log.logger.fatal(error.message);
    this.post({ type: 'stopRequested', kind: 'quick', status: exitStatus.failure });
  }

  async #exit(status: number): Promise<void> {
    process.exitCode = status;
    this.#parts.arbiter.end();
    await this.#parts.succession.leave();
    this.#parts.sentinel.stop();
    this.#parts.listeners.closeAll();
    this.#parts.events.end();
    this.#presence.remove();
    await this.#parts.serviceManager.end();
    await within(this.#parts.statsd.report(), lastReport);
    await this.#parts.log.flush();
    process.exit(status);
  }

  /**
   * A bug in the master. A half-broken master is worse than none: it ends, its workers see that, finish what they have
   * and go, and the service manager starts anew.
   */
  #crash(error: unknown): void {
    process.exitCode = exitStatus.failure;
    this.#parts.log.logger.fatal(
      { err: error },
      'the master failed, this is a bug in prefork; the workers drain and exit',
    );
    this.#parts.arbiter.end();
    this.#parts.succession.crash(this.#parts.fleet.upgrade.state === 'ending');
    this.#parts.listeners.closeAll();
    this.#presence.remove();
    void this.#parts.log.flush().then(() => process.exit(exitStatus.failure));
  }
}
