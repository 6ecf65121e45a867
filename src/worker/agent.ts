/**
 * The life of a worker, from its birth to its end. Preloaded into every worker before the app, it makes an unmodified
 * app a worker of prefork. What the parts do is in the files beside this one; here they are put together.
 *
 * Every worker pays for it with memory and time at its start, so it imports little. No top-level await may be anywhere
 * in what it imports, because it is preloaded with `--require`.
 */
import { registry } from '../app/registry.ts';
import { spareVariable } from '../config/slot-env.ts';
import type { BootInfo, MasterMessage } from '../protocol/messages.ts';
import type { Handle } from '../system/node-internals.ts';
import { AccessLog } from './access-log/access-log.ts';
import { takeBootInfo, titleOf } from './birth.ts';
import { Channel } from './channel.ts';
import { keepCompiled } from './compile-cache.ts';
import { Datagrams } from './datagrams.ts';
import { callHook } from './drain/app-hook.ts';
import { Drain } from './drain/drain.ts';
import { leave, sayFarewell } from './drain/farewell.ts';
import { orphanOrder } from './drain/plan.ts';
import { LastWords } from './dying/last-words.ts';
import { HeapSnapshot } from './dying/snapshot.ts';
import { giveEvidence, releaseDebugger } from './evidence.ts';
import { HealthEndpoint } from './health/endpoint.ts';
import { Readiness } from './health/readiness.ts';
import { Heartbeat } from './heartbeat.ts';
import { Inside } from './inside/inside.ts';
import { Leading } from './leading.ts';
import { Limits } from './limits/limits.ts';
import { Listens } from './listen.ts';
import { App } from './loading/app.ts';
import { FailureWatch } from './loading/failure.ts';
import { Metrics } from './metrics/metrics.ts';
import { Migration } from './migration/migration.ts';
import { outlivePrinting } from './printing.ts';
import { EventFilter } from './process-events.ts';
import { RequestContext } from './request-context/request-context.ts';
import { holdSignals } from './signals.ts';
import { isThreadOfWorker, shareInThread } from './threads.ts';
import { watchPolling } from './traffic/polling.ts';
import { Traffic } from './traffic/traffic.ts';

class Agent {
  #boot: BootInfo;
  readonly #channel = new Channel();
  readonly #failures = new FailureWatch(this.#channel);
  readonly #leading = new Leading(this.#channel);
  readonly #readiness = new Readiness(this.#channel, (error) => this.#failures.fail(error));
  readonly #health: HealthEndpoint | null;
  readonly #traffic: Traffic;
  readonly #limits: Limits | null;
  readonly #metrics: Metrics | null;
  readonly #heartbeat: Heartbeat;
  readonly #migration: Migration;
  readonly #drain: Drain;
  readonly #listens: Listens;
  readonly #datagrams: Datagrams;
  readonly #inside: Inside;
  readonly #app: App;
  #accessLog: AccessLog | null = null;
  #snapshot: HeapSnapshot | null = null;
  #isLeaving = false;

  constructor(boot: BootInfo) {
    const channel = this.#channel;
    this.#boot = boot;
    const { settings } = boot;
    this.#health =
      settings.health === null
        ? null
        : new HealthEndpoint(settings.health, this.#readiness, () => this.#limits?.isOverloaded === true);
    this.#traffic = new Traffic({ keepAlive: settings.keepAlive, health: this.#health });
    this.#limits = Limits.join(this.#traffic, channel, settings);
    this.#metrics = boot.metrics === null ? null : new Metrics(channel, this.#traffic, boot.metrics, boot.hooks);
    this.#heartbeat = new Heartbeat(channel, this.#traffic, this.#metrics);
    const [bound] = settings.bind;
    this.#listens = new Listens(channel, {
      bound: bound ?? null,
      whenWell: (proceed) => this.#readiness.whenWell(proceed),
      onServer: (server) => this.#traffic.track(server),
      isLeaving: () => this.#drain.hasBegun,
      isHeld: boot.held === true,
    });
    this.#datagrams = new Datagrams(channel, boot.held === true);
    this.#migration = new Migration({
      channel,
      traffic: this.#traffic,
      places: this.#listens,
      descriptors: boot.queue,
    });
    this.#inside = new Inside({
      channel,
      inFlight: this.#traffic.inFlight,
      hold: (isOn) => this.#listens.hold(isOn),
    });
    this.#drain = new Drain({
      channel,
      migration: this.#migration,
      traffic: this.#traffic,
      queues: () => this.#listens.queues,
      onDrained: (deadline) => this.#leave(deadline),
    });
    this.#app = new App(
      boot,
      this.#listens,
      this.#failures,
      () => this.#ready(),
      () => this.#booted(),
    );
  }

  /** Prepares the process for the app, whose main module runs next. */
  start(): void {
    const { slot, id, generation, heartbeat, settings } = this.#boot;
    registry().worker = { slot, id, generation, name: settings.name };
    registry().requests = new RequestContext();
    this.#leading.start();
    const events = new EventFilter();
    holdSignals(events, () => this.#termed());
    this.#channel.open(events, {
      onMessage: (message, handle) => this.#receive(message, handle),
      onClosed: (isMasterThere) => this.#orphaned(isMasterThere),
    });
    this.#failures.start(events);
    new LastWords({
      channel: this.#channel,
      inFlight: this.#traffic.inFlight,
      isExplained: () => this.#isLeaving || this.#failures.hasFailed,
      caught: () => this.#failures.caught,
    }).start(events);
    // After the app's own listeners of it, which may find more to do.
    events.intercept('beforeExit', () => {
      // A listen() on a host takes a tick or two before it is seen.
      afterTicks(3, () => this.#app.onIdle());
      return false;
    });
    this.#listens.install(this.#app, this.#datagrams);
    this.#traffic.watchAll();
    this.#metrics?.start();
    watchPolling(this.#traffic, this.#channel);
    // A spare serves nobody, and its lines name the slot that it will have.
    if (slot !== null) this.#accessLog = AccessLog.join(this.#traffic, { ...this.#boot, slot }, this.#channel);
    giveEvidence(events, this.#channel, this.#traffic.inFlight);
    this.#heartbeat.start(heartbeat);
    this.#app.start();
  }

  /** This spare can serve: nothing is missing but its sockets. */
  #booted(): void {
    if (this.#failures.hasFailed) return;
    this.#channel.send({ type: 'booted' });
    this.#heartbeat.beat();
    this.#readiness.watch();
  }

  /** This spare has a place; its sockets come next. */
  #place({ slot, env }: Extract<MasterMessage, { type: 'place' }>): void {
    const boot = { ...this.#boot, slot };
    const before = titleOf(this.#boot);
    this.#boot = boot;
    const known = registry();
    if (known.worker !== null) known.worker = { ...known.worker, slot };
    delete process.env[spareVariable];
    Object.assign(process.env, env);
    // The app may have one of its own; and the system may have cut ours.
    if (before.startsWith(process.title)) process.title = titleOf(boot);
    this.#accessLog = AccessLog.join(this.#traffic, boot, this.#channel);
    for (const run of known.placements?.splice(0) ?? []) void callHook(() => run(slot));
  }

  /** The app is loaded and listens. */
  #ready(): void {
    // Checks that the app has added since it began to listen count as well.
    this.#readiness.whenWell(() => {
      if (this.#failures.hasFailed) return;
      this.#failures.ready();
      this.#metrics?.onListening();
      this.#limits?.start();
      // Before the next worker of a rollout is started, and before this one counts.
      const { compileCache } = this.#boot;
      if (compileCache?.keeps === true) keepCompiled(compileCache.folder);
      const { isHeld, privateAddresses: addresses } = this.#listens;
      this.#channel.send(isHeld ? { type: 'ready', addresses } : { type: 'ready' });
      this.#heartbeat.beat();
      this.#readiness.watch();
    });
  }

  /** What the master sends, from the birth to the drain. */
  #receive(message: MasterMessage, handle: Handle | null): void {
    switch (message.type) {
      case 'place':
        this.#place(message);
        break;
      case 'grant':
        this.#listens.onGrant(message, handle);
        break;
      case 'refused':
        this.#listens.onRefused(message);
        break;
      case 'bound':
        this.#datagrams.onBound(message, handle);
        break;
      case 'unbindable':
        this.#datagrams.onUnbindable(message);
        break;
      case 'unlistened':
        this.#listens.onUnlistened(message);
        break;
      case 'assign':
        this.#listens.onAssign(message, handle);
        break;
      case 'unassign':
        this.#listens.onUnassign(message);
        break;
      case 'admit':
        this.#listens.admit();
        this.#datagrams.admit();
        break;
      case 'peers':
        this.#listens.onPeers(message);
        break;
      case 'service':
        this.#health?.onService(message.report);
        if (message.report.status === 'draining') this.#drain.announce();
        break;
      case 'migrate':
        this.#migration.order(message);
        break;
      case 'reopen':
        this.#accessLog?.reopen();
        break;
      case 'lead':
        this.#leading.lead(handle);
        break;
      case 'ask-requests':
        this.#inside.tell(message);
        break;
      case 'inspect':
        this.#inside.inspect(message);
        break;
      case 'drain':
        this.#inside.leaving();
        this.#leading.leave();
        if (message.snapshot === true) this.#snapshot = new HeapSnapshot(this.#channel, this.#boot);
        this.#traffic.reject(message.reject);
        this.#drain.order(message);
        if (message.last) this.#listens.takeAll();
        this.#listens.leave();
        break;
      case 'alone':
        this.#listens.takeAll();
        this.#drain.alone();
        break;
    }
  }

  /** This process, or its whole process group, was sent a TERM: the master decides what becomes of it. */
  #termed(): void {
    // An app that raises the signal again after its own handler has run wants to be gone.
    if (this.#isLeaving) process.exit(0);
    if (this.#channel.isConnected) this.#channel.send({ type: 'termed' });
    else this.#orphaned(this.#channel.isOpen);
  }

  /** The master is gone, or the app has closed the channel to it. */
  #orphaned(isMasterThere: boolean): void {
    this.#leading.leave();
    const isInherited = isMasterThere || this.#migration.hasHeirs;
    this.#migration.orphaned(isInherited);
    if (!this.#drain.hasBegun) this.#drain.order(orphanOrder(this.#boot.settings, !isInherited));
    if (!isInherited) {
      this.#listens.takeAll();
      this.#drain.alone();
    }
    this.#listens.leave();
  }

  /** The drain is over: the last figures, the app's own SIGTERM handlers, the last lines of the access log, the exit. */
  #leave(deadline: number): void {
    this.#isLeaving = true;
    const told = (end: number) => this.#inside.finish(end);
    leave(deadline, [
      () => this.#metrics?.finish(),
      // Before the app's own handlers, which let go of what fills the heap.
      (end) => this.#snapshot?.write(end),
      sayFarewell,
      told,
      () => this.#accessLog?.finish(),
      releaseDebugger,
    ]);
  }
}

/** Calls when so many rounds of ticks have passed: nothing of it keeps the process alive. */
function afterTicks(count: number, call: () => void): void {
  process.nextTick(() => (count > 1 ? afterTicks(count - 1, call) : call()));
}

const boot = takeBootInfo(import.meta.filename);
if (boot !== null) {
  outlivePrinting();
  new Agent(boot).start();
} else if (isThreadOfWorker()) shareInThread();
