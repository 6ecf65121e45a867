/** The metrics of the service: what is counted as it happens, and what is looked up when they are read. */
import type { Action } from '../../core/actions.ts';
import type { Event } from '../../core/events.ts';
import type { Fleet, Phase } from '../../core/model.ts';
import { keptReasons } from '../../protocol/migration.ts';
import type { Status, WorkerStatus } from '../../protocol/status.ts';
import type { AppMetric, TrafficDelta } from '../../protocol/traffic.ts';
import type { Circumstances, Observer } from '../log/observer.ts';
import { AppMetrics } from './app.ts';
import type { Counted } from './counted.ts';
import type { Exposition, Format } from './exposition.ts';
import { type Family, family, type Labels, single } from './family.ts';
import { serviceGauges, slotGauges } from './gauges.ts';
import { SupervisorTotals } from './supervisor.ts';
import { TrafficTotals } from './traffic.ts';

export interface MetricsSources {
  readonly status: () => Status;
  /** Lines that could not be written, by log. */
  readonly lostLines: () => Readonly<Record<'log' | 'access', number>>;
  /** What is counted by generation, if one is judged by it. */
  readonly generations?: () => readonly Family[];
  /** Whether workers count their requests. */
  readonly isCounting: () => boolean;
}

const phases: readonly Phase['name'][] = ['booting', 'spare', 'joining', 'ready', 'draining', 'killed'];

export class Metrics implements Observer {
  readonly #sources: MetricsSources;
  readonly #supervisor = new SupervisorTotals();
  readonly #traffic = new TrafficTotals();
  readonly #app = new AppMetrics();
  #heir: ((counted: Counted) => void) | null = null;
  /** Pages that are being made. */
  readonly #making = new Map<Format, Promise<Exposition>>();

  constructor(sources: MetricsSources) {
    this.#sources = sources;
  }

  event(event: Event, { fleet, now }: Circumstances): void {
    this.#supervisor.event(event, fleet, now);
  }

  action(action: Action, { fleet }: Circumstances): void {
    this.#supervisor.action(action, fleet);
  }

  onTurn(fleet: Fleet): void {
    this.#supervisor.onTurn(fleet);
  }

  /** @param id the worker */
  onTraffic(delta: TrafficDelta, id: number | null = null): void {
    this.#traffic.add(delta, id);
    this.#heir?.({ kind: 'traffic', delta, total: false });
  }

  onAppMetrics(id: number, metrics: readonly AppMetric[]): void {
    this.#app.set(id, metrics);
    this.#heir?.({ kind: 'app', id, metrics });
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#app.retire(id);
    this.#traffic.forget(id);
    this.#heir?.({ kind: 'gone', id });
  }

  /** Passes all counts to another master, and what is added to them from now on; `null` ends that. */
  bequeath(heir: ((counted: Counted) => void) | null): void {
    this.#heir = heir;
    if (heir === null) return;
    for (const delta of this.#traffic.export()) heir({ kind: 'traffic', delta, total: true });
    // In pieces, each of which is added to those before: one message is never longer than the other master takes.
    for (const metrics of this.#app.kept()) {
      heir({ kind: 'app', id: 0, metrics });
      heir({ kind: 'gone', id: 0 });
    }
    for (const [id, metrics] of this.#app.living()) heir({ kind: 'app', id, metrics });
  }

  /** Goes on from what another master has counted; `null`: it is gone. Its workers' ids become negative: ours may be the same. */
  inherit(counted: Counted | null): void {
    if (counted === null) {
      // It is gone, and this master does not see its workers.
      for (const id of this.#app.living().keys()) if (id < 0) this.#app.retire(id);
    } else if (counted.kind === 'traffic') this.#traffic.add(counted.delta);
    else if (counted.kind === 'app') this.#app.set(-1 - counted.id, counted.metrics);
    else this.#app.retire(-1 - counted.id);
  }

  /** All but the app's own; for statsd as well. */
  families(): Family[] {
    const status = this.#sources.status();
    const traffic = this.#sources.isCounting() ? [...this.#traffic.families(), ...serviceGauges(status.workers)] : [];
    const lost = Object.entries(this.#sources.lostLines()).map(([log, count]): [Labels, number] => [{ log }, count]);
    return [
      ...traffic,
      ...(this.#sources.generations?.() ?? []),
      ...this.#supervisor.families(),
      family('counter', 'prefork_log_lines_lost_total', 'Lines that could not be written', lost),
      ...state(status),
    ];
  }

  /**
   * The page in the format that `accept` asks for. Requests that come while a page is being made share it: a thousand at
   * once cost no more than one.
   */
  async page(accept = ''): Promise<Exposition> {
    const format = /application\/openmetrics-text/i.test(accept) ? 'openmetrics' : 'prometheus';
    const making = this.#making.get(format) ?? this.#page(format).finally(() => this.#making.delete(format));
    this.#making.set(format, making);
    return await making;
  }

  async #page(format: Format): Promise<Exposition> {
    // Only on demand: it takes memory that most masters never need.
    const { aggregators, expose } = await import('./exposition.ts');
    // All requests that have arrived by now share this page.
    await new Promise((resolve) => setImmediate(resolve));
    const own = this.families();
    const taken = new Set(own.map(({ name }) => name));
    return await expose([...own, ...this.#app.families(taken, aggregators)], format);
  }
}

function state(status: Status): Family[] {
  const { workers, listeners } = status;
  const one = (value: number): [Labels, number][] => [[{}, value]];
  const info = { version: status.prefork, node: status.node, name: status.name };
  return [
    family('gauge', 'prefork_info', 'What runs here; always 1', [[info, 1]]),
    family(
      'gauge',
      'prefork_workers',
      'Workers by phase',
      phases.map((phase): [Labels, number] => [{ phase }, workers.filter((worker) => worker.phase === phase).length]),
    ),
    family('gauge', 'prefork_workers_wanted', 'Workers there should be', one(status.wanted)),
    family('gauge', 'prefork_spares', 'Spares that have booted and wait for a place', one(status.spares?.ready ?? 0)),
    family('gauge', 'prefork_spares_wanted', 'Spares there should be', one(status.spares?.wanted ?? 0)),
    family('gauge', 'prefork_generation', 'The generation in force', one(status.generation)),
    family(
      'gauge',
      'prefork_ready',
      'Whether enough workers are ready to serve',
      one(status.health === 'not_ready' || status.health === 'draining' ? 0 : 1),
    ),
    ...releaseFamilies(status),
    ...migrationFamilies(status),
    ...slotGauges(incumbents(workers)),
    family(
      'gauge',
      'prefork_listener_queue_length',
      'Connections that wait to be accepted',
      listeners.flatMap(({ address, waiting }): [Labels, number][] =>
        waiting === null ? [] : [[{ listener: address }, waiting]],
      ),
    ),
    family(
      'gauge',
      'prefork_listener_backlog',
      'Connections that may wait',
      listeners.map(({ address, backlog }): [Labels, number] => [{ listener: address }, backlog]),
    ),
  ];
}

function releaseFamilies({ releases = [] }: Status): Family[] {
  return [
    family(
      'gauge',
      'prefork_release_info',
      'The release of each generation that has workers; always 1',
      releases.map(({ generation, path, version, commit }): [Labels, number] => [
        { generation: String(generation), version: version ?? '', commit: commit ?? '', path },
        1,
      ]),
    ),
    family(
      'gauge',
      'prefork_release_changed_files',
      'Files of it that have changed on disk since it started',
      releases.map(({ generation, changed }): [Labels, number] => [
        { generation: String(generation) },
        changed?.count ?? 0,
      ]),
    ),
  ];
}

function migrationFamilies({ migration }: Status): Family[] {
  if (migration === undefined) return [];
  const { moved, lost } = migration;
  const kept = keptReasons.map((reason): [Labels, number] => [{ reason }, migration.kept[reason] ?? 0]);
  return [
    single('counter', 'prefork_connections_moved_total', 'Connections that went to another worker', moved),
    single('counter', 'prefork_connections_lost_total', 'Connections that were lost on their way', lost),
    family('counter', 'prefork_connections_kept_total', 'Connections that ended with their worker, by why', kept),
  ];
}

/** One worker to each slot: the newest that serves, else the newest. */
function incumbents(workers: readonly WorkerStatus[]): WorkerStatus[] {
  const bySlot = new Map<number, WorkerStatus>();
  for (const worker of workers) {
    if (worker.slot === null) continue;
    const other = bySlot.get(worker.slot);
    if (other === undefined || other.phase !== 'ready' || worker.phase === 'ready') bySlot.set(worker.slot, worker);
  }
  return [...bySlot.values()];
}
