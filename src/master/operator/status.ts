/** The status of the service, from what the arbiter knows. */
import type { Settings } from '../../config/resolved.ts';
import { isReady, slotOf, wantedSpares } from '../../core/fleet.ts';
import type { Fleet, Served, Worker } from '../../core/model.ts';
import { comparisonText } from '../../core/rules/judge.ts';
import type { ExitReport } from '../../protocol/exit-report.ts';
import { statusRow } from '../../protocol/figures-row.ts';
import type { HealthReport } from '../../protocol/messages.ts';
import type { MigrationStatus } from '../../protocol/migration.ts';
import type { ReleaseStatus } from '../../protocol/release-text.ts';
import {
  type ListenerStatus,
  type ServedStatus,
  type Status,
  statusVersion,
  type WorkerStatus,
} from '../../protocol/status.ts';
import { version } from '../../system/package.ts';
import type { Listener } from '../sockets/listeners.ts';
import { waitingOf } from '../sockets/queue-length.ts';
import type { Rates } from '../workers/rates.ts';

export interface StatusParts {
  readonly fleet: Fleet;
  /** Of the running clock. */
  readonly now: number;
  readonly settings: Settings;
  readonly listeners: readonly Listener[];
  /** Why clients cannot connect to a listener, by its key. */
  readonly problemOf?: (key: string) => Error | null;
  readonly health: HealthReport;
  readonly rates: Rates;
  readonly migration: MigrationStatus;
  readonly releases: readonly ReleaseStatus[];
  readonly exits?: readonly ExitReport[];
}

/** Those without a slot come after the others. */
const last = Number.MAX_SAFE_INTEGER;

const seconds = (milliseconds: number): number => Math.round(milliseconds) / 1_000;

export function statusOf({
  fleet,
  now,
  settings,
  listeners,
  health,
  rates,
  migration,
  releases,
  ...parts
}: StatusParts): Status {
  const problemOf = (key: string): { readonly problem?: string } => {
    const problem = parts.problemOf?.(key)?.message;
    return problem === undefined ? {} : { problem };
  };
  const { reload, lastReload } = fleet;
  const waiting = waitingOf(listeners.map(({ queues }) => queues.map(({ fd }) => fd)));
  return {
    version: statusVersion,
    prefork: version,
    node: process.version,
    name: settings.name,
    pid: process.pid,
    uptime: seconds(process.uptime() * 1_000),
    generation: fleet.generation,
    state: stateOf(fleet),
    health: health.status,
    app: settings.app.path,
    releases,
    wanted: fleet.dormant ? 0 : fleet.wanted,
    ready: fleet.workers.filter(isReady).length,
    spares: {
      wanted: wantedSpares(fleet),
      ready: fleet.workers.filter(({ phase }) => phase.name === 'spare').length,
    },
    ...scalingStatus(fleet, now),
    ...leaderOf(fleet, now),
    reload: {
      running:
        reload.state === 'idle'
          ? null
          : {
              reload: reload.reload,
              step: reload.state,
              ...(reload.state === 'canary' ? { stage: reload.stage.name } : {}),
              uptime: seconds(now - reload.since),
              ...comparedStatus(fleet, now),
            },
      last: lastReload === null ? null : { ...lastReload, duration: seconds(lastReload.duration) },
    },
    upgrade: upgradeStatus(fleet),
    migration,
    exits: parts.exits ?? [],
    listeners: listeners.map((listener, index) => ({
      ...listenerStatus(listener, waiting[index] ?? null),
      ...problemOf(listener.key),
    })),
    workers: [...fleet.workers]
      .sort((a, b) => (a.slot ?? last) - (b.slot ?? last) || a.id - b.id)
      .map((worker) => workerStatus(worker, fleet, now, rates)),
  };
}

function scalingStatus({ policy: { autoscale }, scaling: { last } }: Fleet, now: number): Pick<Status, 'scaling'> {
  if (autoscale === null) return {};
  if (last === null) return { scaling: { ...autoscale, last } };
  const { at, ...change } = last;
  return { scaling: { ...autoscale, last: { ...change, ago: seconds(now - at) } } };
}

/** Nothing where no app has asked for a leader. */
function leaderOf({ leadership, workers }: Fleet, now: number): Pick<Status, 'leader'> {
  const { leader } = leadership;
  if (leader === null) return workers.some(({ candidate }) => candidate) ? { leader: null } : {};
  const worker = workers.find(({ id }) => id === leader.id);
  const { slot = null, pid = null } = worker ?? {};
  return { leader: { slot, worker: leader.id, pid, uptime: seconds(now - leader.since) } };
}

type Compared = Pick<NonNullable<Status['reload']['running']>, 'trial' | 'compared'>;

/** How the new generation of the reload under way is judged by its traffic. */
function comparedStatus({ reload, traffic }: Fleet, now: number): Compared {
  if (reload.state !== 'canary' && reload.state !== 'rolling') return {};
  const comparison = traffic?.generation === reload.generation ? traffic : null;
  const compared = comparison === null ? {} : { compared: comparisonText(comparison) };
  if (reload.state === 'rolling') return compared;
  const { canary } = reload.policy;
  if (canary === null || reload.stage.name !== 'trial') return {};
  const trial = {
    seconds: seconds(canary.for),
    left: seconds(Math.max(0, reload.stage.since + canary.for - now)),
    minRequests: canary.minRequests,
    fresh: servedStatus(comparison?.fresh),
    old: servedStatus(comparison?.old),
  };
  return { trial, ...compared };
}

function servedStatus(served: Served | undefined): ServedStatus {
  const { requests = 0, errors = 0, p99 = null } = served ?? {};
  return { requests, errors, p99: p99 === null ? null : Math.round(p99 * 100) / 100 };
}

function upgradeStatus({ upgrade, upgrades, successor, lastUpgrade }: Fleet): Status['upgrade'] {
  return {
    running: upgrade.state === 'none' ? null : { upgrade: upgrades, step: upgrade.state, pid: successor },
    last: lastUpgrade === null ? null : { ...lastUpgrade, duration: seconds(lastUpgrade.duration) },
  };
}

function listenerStatus({ label, queues, backlog }: Listener, waiting: number | null): ListenerStatus {
  return { address: label, queues: queues.length, backlog, waiting };
}

function stateOf(fleet: Fleet): Status['state'] {
  if (fleet.stopping !== null) return 'stopping';
  if (fleet.start === 'starting') return 'starting';
  if (fleet.reload.state !== 'idle') return 'reloading';
  return fleet.dormant ? 'dormant' : 'running';
}

function workerStatus(worker: Worker, fleet: Fleet, now: number, rates: Rates): WorkerStatus {
  const { phase } = worker;
  const facts = {
    slot: worker.slot,
    id: worker.id,
    pid: worker.pid,
    generation: worker.generation,
    phase: phase.name,
    reason: phase.name === 'draining' || phase.name === 'killed' ? phase.reason : (worker.spent?.reason ?? null),
    uptime: seconds(now - worker.bornAt),
    heartbeatAge: seconds(now - worker.beatAt),
    requestsPerSecond: rates.of(worker.id),
    restarts: worker.slot === null ? 0 : slotOf(fleet, worker.slot).restarts,
  };
  return statusRow(facts, worker.figures);
}
