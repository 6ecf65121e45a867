/**
 * Preloaded into every worker, before the app: makes an unmodified app a worker of prefork.
 *
 * It is paid for by every worker's memory and start, so it imports little; and no top-level await may be anywhere in
 * what it imports, because `--require` takes it.
 */
import { realpathSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { registry } from '../app/registry.ts';
import { type BootInfo, bootVariable, type MasterMessage } from '../protocol/messages.ts';
import type { Handle } from '../system/node-internals.ts';
import { AccessLog } from './access-log/access-log.ts';
import { Channel } from './channel.ts';
import { Drain } from './drain/drain.ts';
import { sayFarewell } from './drain/farewell.ts';
import { leaveEvidence } from './evidence.ts';
import { HealthEndpoint } from './health/endpoint.ts';
import { Readiness } from './health/readiness.ts';
import { Heartbeat } from './heartbeat.ts';
import { Listens } from './listen.ts';
import { App } from './loading/app.ts';
import { FailureWatch } from './loading/failure.ts';
import { Metrics } from './metrics/metrics.ts';
import { EventFilter } from './process-events.ts';
import { holdSignals } from './signals.ts';
import { watchFinishes } from './traffic/finishes.ts';
import { Traffic } from './traffic/traffic.ts';

/** Milliseconds past the deadline that the app's own listeners get where the drain took all the time there was. */
const lastWords = 250;

class Agent {
  readonly #boot: BootInfo;
  readonly #channel = new Channel();
  readonly #traffic = new Traffic();
  readonly #failures = new FailureWatch(this.#channel);
  readonly #metrics: Metrics | null;
  #accessLog: AccessLog | null = null;
  readonly #heartbeat: Heartbeat;
  readonly #drain = new Drain(this.#channel, this.#traffic, (deadline) => this.#leave(deadline));
  readonly #readiness = new Readiness(this.#channel, this.#failures);
  readonly #health: HealthEndpoint | null;
  readonly #app: App;
  readonly #listens: Listens;
  #isLeaving = false;

  constructor(boot: BootInfo) {
    this.#boot = boot;
    const { slot, id, generation, settings } = boot;
    this.#metrics = boot.metrics === null ? null : new Metrics(this.#channel, this.#traffic, boot.metrics, boot.hooks);
    this.#heartbeat = new Heartbeat(this.#channel, this.#traffic, this.#metrics);
    this.#app = new App(
      boot,
      () => this.#listens,
      this.#failures,
      () => this.#ready(),
    );
    this.#health = settings.health === null ? null : new HealthEndpoint(settings.health, this.#readiness);
    this.#traffic.health = this.#health;
    this.#traffic.keepAlive = settings.keepAlive;
    registry().worker = { slot, id, generation, name: settings.name };
    const [bound] = settings.bind;
    this.#listens = new Listens(this.#channel, {
      wantsBound: (server) => this.#app.wantsBound(server),
      yields: (server) => this.#app.yields(server),
      boundPath: bound?.kind === 'unix' ? bound.path : null,
      whenWell: (proceed) => this.#readiness.whenWell(proceed),
      onServer: (server) => this.#traffic.track(server),
      onSettled: (server) => this.#app.onSettled(server),
    });
  }

  start(): void {
    const events = new EventFilter();
    holdSignals(events, () => this.#terminated());
    this.#channel.open(events, {
      onMessage: (message, handle) => this.#receive(message, handle),
      onClosed: () => this.#orphaned(),
    });
    this.#failures.start();
    this.#listens.install();
    this.#metrics?.start();
    const { accessLog } = this.#boot;
    if (accessLog !== null) {
      this.#accessLog = new AccessLog(accessLog, this.#boot, this.#channel);
      this.#traffic.remembersPeers = true;
      if (accessLog.format === 'json') this.#accessLog.identify(this.#traffic);
    }
    const watchers = [this.#metrics?.watcher, this.#accessLog].filter(
      (watcher) => watcher !== undefined && watcher !== null,
    );
    if (watchers.length > 0) watchFinishes(this.#traffic, watchers);
    leaveEvidence(this.#traffic);
    this.#heartbeat.start(this.#boot.heartbeat);
    this.#app.start();
  }

  #ready(): void {
    // Again: what the app registered after it had begun to listen counts as well.
    this.#readiness.whenWell(() => {
      if (this.#failures.hasFailed) return;
      this.#failures.ready();
      this.#metrics?.onListening();
      this.#channel.send({ type: 'ready' });
      this.#heartbeat.beat();
      this.#readiness.watch();
    });
  }

  #receive(message: MasterMessage, handle: Handle | null): void {
    switch (message.type) {
      case 'handle':
        this.#listens.onHandle(message, handle);
        break;
      case 'refused':
        this.#listens.onRefused(message);
        break;
      case 'assign':
        this.#listens.onAssign(message, handle);
        break;
      case 'unassign':
        this.#listens.onUnassign(message);
        break;
      case 'drain':
        this.#traffic.rejecting = message.reject;
        this.#drain.order(message);
        break;
      case 'service':
        this.#health?.onService(message.report);
        break;
      case 'reopen':
        this.#accessLog?.reopen();
        break;
    }
  }

  /** Somebody signalled this process, or its whole group: the master knows better what is to become of it. */
  #terminated(): void {
    // An app that raises the signal again after its own listener has run wants to be gone.
    if (this.#isLeaving) process.exit(0);
    if (this.#channel.isOpen) this.#channel.send({ type: 'asked' });
    else this.#orphaned();
  }

  /** The master is gone. */
  #orphaned(): void {
    if (this.#drain.hasBegun) return;
    const { gracefulTimeout, drainLinger } = this.#boot.settings;
    // What comes after the drain is a part of the time that a worker may outlive its master.
    const within = Math.max(gracefulTimeout / 2, gracefulTimeout - 2 * lastWords);
    this.#drain.order({ within, linger: drainLinger, quick: false });
  }

  #leave(deadline: number): void {
    this.#isLeaving = true;
    const end = Math.max(deadline, performance.now() + lastWords);
    // Whatever the listeners do. It does not keep alive a process that has nothing else left.
    setTimeout(() => process.exit(0), end - performance.now() + lastWords).unref();
    const told = this.#metrics?.finish() ?? Promise.resolve();
    void told
      .then(() => sayFarewell(end))
      .then(() => this.#accessLog?.finish())
      .finally(() => process.exit(0));
  }
}

/** What the app, and what it forks, would not find under plain node. */
function coverTracks(): void {
  delete process.env[bootVariable];
  const index = process.execArgv.findIndex((arg, at) => arg === '--require' && isThisFile(process.execArgv[at + 1]));
  if (index >= 0) process.execArgv.splice(index, 2);
  // The master's precautions for the inspector; process.execArgv must stay the same array.
  const kept = process.execArgv.filter((arg) => !/^--inspect-(port|publish-uid)=/.test(arg));
  process.execArgv.splice(0, process.execArgv.length, ...kept);
}

function isThisFile(path = ''): boolean {
  try {
    return realpathSync(path) === import.meta.filename;
  } catch {
    return false;
  }
}

/** Whoever reads what this process prints may leave; the service stays. */
function surviveBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

// Preloads also run in worker threads, and in what the app forks.
const encoded = isMainThread ? process.env[bootVariable] : undefined;
if (encoded !== undefined) {
  const boot = JSON.parse(encoded) as BootInfo;
  coverTracks();
  surviveBrokenPipes();
  process.title = `prefork: worker ${boot.slot} [${boot.settings.name}]`;
  const { app } = boot.settings;
  if (app.exportName !== null) process.argv[1] = app.path;
  new Agent(boot).start();
}
