/** The metrics of the service: what is counted as it happens, and what is looked up when somebody asks. */

import type { Action } from '../../core/actions.ts';
import type { Event } from '../../core/events.ts';
import type { Fleet, Phase } from '../../core/model.ts';
import type { Status, WorkerStatus } from '../../protocol/status.ts';
import type { AppMetric, TrafficDelta } from '../../protocol/traffic.ts';
import type { Witness } from '../arbiter.ts';
import { AppMetrics } from './app.ts';
import type { Counted } from './counted.ts';
import type { Exposition } from './exposition.ts';
import { type Family, family, type Labels } from './family.ts';
import { SupervisorTotals } from './supervisor.ts';
import { TrafficTotals } from './traffic.ts';

export interface MetricsSources {
  readonly status: () => Status;
  /** Lines that could not be written, by log. */
  readonly lostLines: () => Readonly<Record<'log' | 'access', number>>;
  /** Whether workers count their requests. */
  readonly isCounting: () => boolean;
}

const phases: readonly Phase['name'][] = ['booting', 'ready', 'draining', 'killed'];

export class Metrics implements Witness {
  readonly #sources: MetricsSources;
  readonly #supervisor = new SupervisorTotals();
  readonly #traffic = new TrafficTotals();
  readonly #app = new AppMetrics();
  #heir: ((counted: Counted) => void) | null = null;

  readonly #making = new Map<string, Promise<Exposition>>();

  constructor(sources: MetricsSources) {
    this.#sources = sources;
  }

  event(event: Event, before: Fleet, now: number): void {
    this.#supervisor.event(event, before, now);
  }

  action(action: Action, fleet: Fleet): void {
    this.#supervisor.action(action, fleet);
  }

  onTurn(fleet: Fleet): void {
    this.#supervisor.onTurn(fleet);
  }

  onTraffic(delta: TrafficDelta): void {
    this.#traffic.add(delta);
    this.#heir?.({ kind: 'traffic', delta, total: false });
  }

  onAppMetrics(id: number, metrics: readonly AppMetric[]): void {
    this.#app.set(id, metrics);
    this.#heir?.({ kind: 'app', id, metrics });
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#app.retire(id);
    this.#heir?.({ kind: 'gone', id });
  }

  /** Hands all counts to another master, and what is added to them from now on; `null` ends that. */
  bequeath(heir: ((counted: Counted) => void) | null): void {
    this.#heir = heir;
    if (heir === null) return;
    for (const delta of this.#traffic.export()) heir({ kind: 'traffic', delta, total: true });
    heir({ kind: 'app', id: 0, metrics: this.#app.kept() });
    heir({ kind: 'gone', id: 0 });
    for (const [id, metrics] of this.#app.living()) heir({ kind: 'app', id, metrics });
  }

  /** Goes on from what another master has counted; `null` is the end of it. Its workers' ids are not ours. */
  inherit(counted: Counted | null): void {
    if (counted === null) {
      // It is gone, and its workers are not ours to watch.
      for (const id of this.#app.living().keys()) if (id < 0) this.#app.retire(id);
    } else if (counted.kind === 'traffic') this.#traffic.add(counted.delta);
    else if (counted.kind === 'app') this.#app.set(-1 - counted.id, counted.metrics);
    else this.#app.retire(-1 - counted.id);
  }

  /** Our own: for statsd as well. */
  families(): Family[] {
    const status = this.#sources.status();
    const traffic = this.#sources.isCounting() ? [...this.#traffic.families(), ...activity(status)] : [];
    const lost = Object.entries(this.#sources.lostLines()).map(([log, count]): [Labels, number] => [{ log }, count]);
    return [
      ...traffic,
      ...this.#supervisor.families(),
      family('counter', 'prefork_log_lines_lost_total', 'Lines that could not be written', lost),
      ...state(status),
    ];
  }

  /** Whoever asks while a page is being made gets that one: a thousand requests at once cost no more than one. */
  async page(accept: string | undefined): Promise<Exposition> {
    const kind = isOpenMetrics(accept) ? 'open' : 'text';
    const making = this.#making.get(kind) ?? this.#page(accept).finally(() => this.#making.delete(kind));
    this.#making.set(kind, making);
    return await making;
  }

  async #page(accept: string | undefined): Promise<Exposition> {
    // Only where somebody asks: it is memory that most masters never need.
    const { aggregators, expose } = await import('./exposition.ts');
    // All that has arrived at once is in before it is begun.
    await new Promise((resolve) => setImmediate(resolve));
    const own = this.families();
    const taken = new Set(own.map(({ name }) => name));
    return await expose([...own, ...this.#app.families(taken, aggregators)], accept);
  }
}

function activity({ workers }: Status): Family[] {
  const sum = (of: (worker: WorkerStatus) => number): [Labels, number][] => [
    [{}, workers.reduce((total, worker) => total + of(worker), 0)],
  ];
  return [
    family(
      'gauge',
      'http_active_requests',
      'Requests under way',
      sum(({ inFlight }) => inFlight),
    ),
    family(
      'gauge',
      'http_open_connections',
      'Connections open',
      sum(({ connections }) => connections),
    ),
  ];
}

function state(status: Status): Family[] {
  const { workers, listeners } = status;
  const one = (value: number): [Labels, number][] => [[{}, value]];
  const info = { version: status.prefork, node: status.node, name: status.name };
  const perSlot = incumbents(workers);
  const slots = (name: string, help: string, of: (worker: WorkerStatus) => number): Family =>
    family(
      'gauge',
      `prefork_worker_${name}`,
      help,
      perSlot.map((worker): [Labels, number] => [{ slot: String(worker.slot) }, of(worker)]),
    );
  return [
    family('gauge', 'prefork_info', 'What runs here; always 1', [[info, 1]]),
    family(
      'gauge',
      'prefork_workers',
      'Workers by phase',
      phases.map((phase): [Labels, number] => [{ phase }, workers.filter((worker) => worker.phase === phase).length]),
    ),
    family('gauge', 'prefork_workers_wanted', 'Workers there should be', one(status.wanted)),
    family('gauge', 'prefork_generation', 'The generation in force', one(status.generation)),
    family(
      'gauge',
      'prefork_ready',
      'Whether enough workers are ready to serve',
      one(status.health === 'healthy' || status.health === 'degraded' ? 1 : 0),
    ),
    slots('generation', 'Generation of the worker', ({ generation }) => generation),
    slots('uptime_seconds', 'Age of the worker', ({ uptime }) => uptime),
    slots('heartbeat_age_seconds', 'Time since the last heartbeat', ({ heartbeatAge }) => heartbeatAge),
    slots('event_loop_delay_seconds', '99th percentile of the last beat', ({ loopDelayP99 }) => loopDelayP99 / 1_000),
    slots('event_loop_utilisation', 'Share of the last beat, 0 to 1', ({ loopUtilisation }) => loopUtilisation),
    slots('cpu_cores', 'Processors in use', ({ cpu }) => cpu),
    slots('resident_memory_bytes', 'Resident set size', ({ rss }) => rss),
    slots('heap_used_bytes', 'V8 heap in use', ({ heapUsed }) => heapUsed),
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

/** One worker to each slot: the newest that serves, else the newest. */
function incumbents(workers: readonly WorkerStatus[]): WorkerStatus[] {
  const bySlot = new Map<number, WorkerStatus>();
  for (const worker of workers) {
    const other = bySlot.get(worker.slot);
    if (other === undefined || other.phase !== 'ready' || worker.phase === 'ready') bySlot.set(worker.slot, worker);
  }
  return [...bySlot.values()];
}

function isOpenMetrics(accept = ''): boolean {
  return /application\/openmetrics-text/i.test(accept);
}
