/**
 * Everything the master consists of, built in order. What it does with the parts is in `effects.ts` and `reports.ts`, which
 * are connected to the arbiter and to the pool once all parts are there.
 */
import type { LoadRequest, Settings } from '../config/resolved.ts';
import { type Fleet, initialFleet } from '../core/model.ts';
import type { Status } from '../protocol/status.ts';
import { Arbiter } from './arbiter.ts';
import { MemoryGauge } from './autoscale/memory-gauge.ts';
import { AdminAddress } from './claims/admin-address.ts';
import { Claims } from './claims/claims.ts';
import { ControlSocket } from './claims/control-socket.ts';
import { Leadership } from './claims/leadership.ts';
import { MainProcess } from './claims/main-process.ts';
import { Pidfile } from './claims/pidfile.ts';
import { Deaths } from './deaths/deaths.ts';
import { Snapshots } from './deaths/snapshots.ts';
import { Generations } from './generations.ts';
import { Inside } from './inside/inside.ts';
import { insideRoutes, insideViews, shownToAll } from './inside/routes.ts';
import type { Log } from './log/logger.ts';
import { withRelease } from './log/narrate-release.ts';
import { logObserver } from './log/observer.ts';
import { Timeline } from './log/timeline.ts';
import { GenerationTraffic } from './metrics/generations.ts';
import { Metrics } from './metrics/metrics.ts';
import { Statsd } from './metrics/statsd.ts';
import type { WorkerQueue } from './migration/queue.ts';
import { MigrationTally } from './migration/tally.ts';
import { Notifier } from './notify/notifier.ts';
import { adminRoutes } from './operator/admin-routes.ts';
import { Events } from './operator/events.ts';
import { controlRoutes } from './operator/routes.ts';
import { statusOf } from './operator/status.ts';
import { Outcomes, UpgradeOutcomes } from './outcomes.ts';
import { policyFrom } from './policy.ts';
import { Releases } from './releases/releases.ts';
import { Datagrams } from './sockets/datagrams.ts';
import { Dropped } from './sockets/dropped.ts';
import { Grants } from './sockets/grants.ts';
import { SocketKeeper } from './sockets/keeper.ts';
import { LastCall } from './sockets/last-call.ts';
import type { Listeners } from './sockets/listeners.ts';
import { Stuck } from './stuck/stuck.ts';
import { Counts } from './upgrade/counts.ts';
import type { Command } from './upgrade/own-command.ts';
import type { Predecessor } from './upgrade/predecessor.ts';
import { Succession } from './upgrade/succession.ts';
import { Verification } from './verify/verify.ts';
import { Complaints } from './workers/complaints.ts';
import { ServiceHealth } from './workers/health.ts';
import { Pool } from './workers/pool.ts';
import { Rates } from './workers/rates.ts';
import { Refusals } from './workers/refusals.ts';
import { Restraint } from './workers/restraint.ts';
import { Sentinel } from './workers/sentinel.ts';

export interface MasterOptions {
  readonly request: LoadRequest;
  readonly settings: Settings;
  readonly log: Log;
  readonly listeners: Listeners;
  readonly queueCount: number;
  /** The queue between workers; `null` if there is none. */
  readonly queue: WorkerQueue | null;
  /** Sockets that were open when the master started, and their inodes. */
  readonly inherited: ReadonlyMap<number, string | null>;
  readonly command: Command;
  /** The master that this one is to replace. */
  readonly predecessor: Predecessor | null;
  /** The first worker is ready, and the pidfile is written. */
  readonly onReady: () => void;
}

/** What the master consists of. */
export interface Parts {
  readonly log: Log;
  readonly listeners: Listeners;
  readonly generations: Generations;
  readonly releases: Releases;
  readonly arbiter: Arbiter;
  readonly pool: Pool;
  readonly sentinel: Sentinel;
  readonly grants: Grants;
  readonly datagrams: Datagrams;
  readonly lastCall: LastCall;
  readonly dropped: Dropped;
  readonly sockets: SocketKeeper;
  readonly complaints: Complaints;
  readonly restraint: Restraint;
  readonly health: ServiceHealth;
  readonly rates: Rates;
  readonly refusals: Refusals;
  readonly migration: MigrationTally;
  readonly stuck: Stuck;
  readonly deaths: Deaths;
  readonly snapshots: Snapshots;
  readonly inside: Inside;
  readonly verification: Verification;
  readonly metrics: Metrics;
  readonly generationTraffic: GenerationTraffic;
  readonly statsd: Statsd;
  readonly notifier: Notifier;
  readonly events: Events;
  readonly claims: Claims;
  readonly leadership: Leadership;
  readonly succession: Succession;
  readonly onReady: () => void;
  /** Are shown the outcome of each turn. */
  readonly observers: readonly { onTurn(fleet: Fleet): void }[];
}

/** Builds the parts; nothing is started yet. */
export function makeParts(options: MasterOptions): Parts {
  const {
    request,
    settings: first,
    log,
    listeners,
    queueCount,
    queue,
    inherited,
    predecessor,
    command,
    onReady,
  } = options;
  const bequest = predecessor?.bequest ?? null;
  const logger = () => log.logger;
  const timeline = new Timeline();
  const rates = new Rates();
  const refusals = new Refusals();
  const sentinel = new Sentinel();
  const generations = new Generations({
    request,
    listeners,
    logger,
    first,
    changedFiles: (settings) => releases.changedFiles(settings),
  });
  const settings = () => generations.current;
  const complaints = new Complaints(logger, timeline);
  const releases = new Releases(({ level, message, files }, { id, slot, generation }) => {
    log.logger[level]({ slot, worker: id, generation, files }, message);
    timeline.add({ kind: 'reload', level, text: message, worker: { id, slot, generation, pid: null } });
  });
  const inUse = () => generations.ofAll([fleet().generation, ...fleet().workers.map(({ generation }) => generation)]);
  const look = () => releases.look(inUse());
  const deaths = new Deaths((generation) => generations.of(generation));
  const snapshots = new Snapshots(logger, timeline, (generation) => generations.of(generation));

  const status = (): Status =>
    statusOf({
      fleet: fleet(),
      now: arbiter.now(),
      settings: settings(),
      listeners: listeners.all(),
      problemOf: (key) => listeners.problemOf(key),
      health: health.ofService(fleet()),
      rates,
      releases: releases.status(inUse()),
      exits: deaths.reports,
      migration: migration.status(queue !== null && settings().migration),
    });
  const generationTraffic = new GenerationTraffic({ fleet: () => fleet(), now: () => arbiter.now() });
  const metrics = new Metrics({
    status,
    generations: () => generationTraffic.families(),
    lostLines: () => ({ log: log.lost(), access: complaints.lostLines }),
    isCounting: () => settings().metrics,
  });
  const statsd = new Statsd(() => metrics.families(), settings);

  const notifier = new Notifier({ settings, logger, instance: timeline.instance });
  const arbiter = new Arbiter({
    fleet: {
      ...initialFleet(policyFrom(first), queueCount, predecessor?.bequest.wanted),
      predecessor: predecessor === null ? 'none' : 'serves',
    },
    complete: (line, action, { generation }) =>
      withRelease(line, action, () => releases.identityOf(generations.of(generation))),
    observers: [
      logObserver(({ level, fields, message }) => log.logger[level](fields, message)),
      timeline,
      metrics,
      deaths,
      notifier,
    ],
  });
  const { post } = arbiter;
  const fleet = () => arbiter.fleet;

  const pool = new Pool(queue?.descriptors ?? null);
  const migration = new MigrationTally();
  const health = new ServiceHealth({
    pool,
    settings,
    version: () => releases.identityOf(generations.current).version,
    refusals,
  });
  const grants = new Grants({
    listeners,
    pool,
    inherited: new Set(inherited.keys()),
    logger,
    isStarting: () => fleet().start === 'starting',
    onChanged: () => sentinel.setSockets(listeners.fds()),
    post,
  });
  const sockets = new SocketKeeper({
    listeners,
    logger,
    isAlone: () => fleet().predecessor === 'none' && fleet().stopping === null,
    onRestored: () => {
      sentinel.setSockets(listeners.fds());
      post({ type: 'recycleRequested', slot: null, reason: 'address' });
    },
  });
  const stuck = new Stuck({
    pool,
    logger,
    timeline,
    settingsOf: (generation) => generations.of(generation),
    onCaptured: (id) => post({ type: 'stackCaptured', id }),
  });

  const inside = new Inside({
    pool,
    stuck,
    settingsOf: (generation) => generations.of(generation),
    fleet,
    now: () => arbiter.now(),
    post,
    logger,
  });

  const events = new Events({ status, timeline, requests: () => inside.requests(null, shownToAll, false) });
  const outcomes = new Outcomes(() => arbiter.now());
  const upgradeOutcomes = new UpgradeOutcomes();
  const shown = { status, events, look, metrics: (accept: string | undefined) => metrics.page(accept) };
  const steering = {
    ...shown,
    settings,
    fleet,
    post,
    reload: (hold: boolean) => {
      const outcome = outcomes.ofNext(fleet());
      post({ type: 'reloadRequested', hold });
      return outcome;
    },
    promote: () => {
      const outcome = outcomes.ofCurrent(fleet());
      post({ type: 'promoteRequested' });
      return outcome;
    },
    rollback: () => {
      const outcome = outcomes.ofNext(fleet());
      post({ type: 'rollbackRequested' });
      return outcome;
    },
    upgrade: () => {
      const outcome = upgradeOutcomes.ofNext(fleet());
      post({ type: 'upgradeRequested' });
      return outcome;
    },
  };
  const readiness = () => ({ report: health.ofService(fleet()), components: health.components() });

  const mainProcess = new MainProcess({ env: request.env, logger, fleet, hasPredecessor: predecessor !== null });
  const claims = new Claims(
    [
      new ControlSocket({
        routes: [...controlRoutes(steering), ...insideRoutes(inside)],
        settings,
        env: request.env,
        predecessor: bequest,
        logger,
      }),
      new AdminAddress({
        routes: [...adminRoutes({ ...shown, health: readiness }), ...insideViews(inside)],
        address: () => settings().admin,
        names: () => settings().adminHosts,
        predecessor: bequest,
        logger,
      }),
      new Pidfile({
        path: () => settings().pidfile,
        // As Gunicorn: what waits for `<pidfile>.2` sees that an upgrade is under way.
        isDue: () => predecessor !== null || fleet().start !== 'starting',
        predecessor: bequest?.pid ?? null,
        onRestored: (path) => logger().warn({ path }, 'the pidfile was removed by somebody; it is there again'),
      }),
      mainProcess,
    ],
    logger,
  );
  const succession = new Succession({
    request,
    command,
    inherited,
    predecessor,
    listeners,
    queue,
    claims,
    counts: new Counts(metrics, statsd),
    wanted: () => fleet().wanted,
    settings,
    post,
    logger,
  });

  return {
    log,
    listeners,
    generations,
    releases,
    arbiter,
    pool,
    sentinel,
    grants,
    datagrams: new Datagrams(pool),
    lastCall: new LastCall({ grants, listeners, pool }),
    dropped: new Dropped({ grants, listeners, pool }),
    sockets,
    complaints,
    restraint: new Restraint(),
    health,
    rates,
    refusals,
    migration,
    stuck,
    deaths,
    snapshots,
    inside,
    verification: new Verification({ logger, labelOf: (key) => listeners.get(key)?.label ?? null, post }),
    metrics,
    generationTraffic,
    statsd,
    notifier,
    events,
    claims,
    leadership: new Leadership({ settings, env: request.env, predecessor: bequest?.pid ?? null, fleet, post, logger }),
    succession,
    onReady,
    observers: [
      { onTurn: (now) => health.spread(now) },
      new MemoryGauge(post),
      outcomes,
      upgradeOutcomes,
      succession,
      mainProcess,
      metrics,
      generationTraffic,
      notifier,
    ],
  };
}
