/** How the service is: what the health checks say, on the workers' own ports and on the admin address. */
import type { Settings } from '../../config/resolved.ts';
import { isReady } from '../../core/fleet.ts';
import type { Fleet, Worker } from '../../core/model.ts';
import type { CheckReport, HealthReport } from '../../protocol/messages.ts';
import type { Pool } from './pool.ts';
import type { Refusals } from './refusals.ts';

export interface HealthOptions {
  readonly pool: Pool;
  readonly settings: () => Settings;
  /** Of the release in force. */
  readonly version: () => string | null;
  readonly refusals: Refusals;
}

export class ServiceHealth {
  readonly #options: HealthOptions;
  readonly #checks = new Map<number, readonly CheckReport[]>();
  /** What was sent to each worker last. */
  readonly #told = new Map<number, string>();

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** @returns why the worker cannot serve, or `null` if it can */
  onChecks(id: number, checks: readonly CheckReport[]): string | null {
    this.#checks.set(id, checks);
    const failing = checks.find(({ ok, critical }) => critical && !ok);
    return failing === undefined ? null : `health check "${failing.name}" fails: ${failing.error ?? 'it says no'}`;
  }

  forget(id: number): void {
    this.#checks.delete(id);
    this.#told.delete(id);
  }

  /** The app's checks, by name: failing if any worker says so. */
  components(): Readonly<Record<string, { readonly status: 'healthy' | 'failing'; readonly error?: string }>> {
    // A map: a check may have any name, `__proto__` as well.
    const found = new Map<string, { status: 'healthy' | 'failing'; error?: string }>();
    for (const { name, ok, error } of [...this.#checks.values()].flat()) {
      if (!ok) found.set(name, { status: 'failing', ...(error === null ? {} : { error }) });
      else if (!found.has(name)) found.set(name, { status: 'healthy' });
    }
    return Object.fromEntries(found);
  }

  /** How the service is as a whole: of whether it has too much to do each worker knows for itself. */
  ofService(fleet: Fleet): HealthReport {
    const report = this.report(fleet);
    if (report.status !== 'healthy' && report.status !== 'degraded') return report;
    // Of two masters the other may have room.
    if (isShared(fleet)) return report;
    const { refusals } = this.#options;
    const serving = fleet.workers.filter((worker) => this.#canServe(worker));
    const isOverloaded = serving.length > 0 && serving.every(({ id }) => refusals.isRefusing(id));
    return isOverloaded ? { ...report, status: 'overloaded' } : report;
  }

  /** What its workers are told of it. */
  report(fleet: Fleet): HealthReport {
    const { readyQuorum } = this.#options.settings();
    const ready = fleet.workers.filter((worker) => this.#canServe(worker)).length;
    const wanted = fleet.dormant ? 0 : fleet.wanted;
    const enough = ready >= Math.min(readyQuorum, Math.max(1, wanted));
    // Of two masters the service is what either serves: no load balancer is to look elsewhere because of the change.
    const status = isShared(fleet)
      ? 'healthy'
      : fleet.stopping !== null
        ? 'draining'
        : !enough
          ? 'not_ready'
          : ready < wanted
            ? 'degraded'
            : 'healthy';
    return { status, ready, wanted, version: this.#options.version() };
  }

  /** Tells the workers what has changed. */
  spread(fleet: Fleet): void {
    const report = this.report(fleet);
    // That the service stops concerns each worker; the rest is for health checks.
    if (this.#options.settings().health === null && report.status !== 'draining') return;
    const text = JSON.stringify(report);
    for (const { id, phase } of fleet.workers) {
      if (phase.name === 'killed' || this.#told.get(id) === text) continue;
      this.#told.set(id, text);
      this.#options.pool.send(id, { type: 'service', report });
    }
  }

  #canServe(worker: Worker): boolean {
    return isReady(worker) && (this.#checks.get(worker.id)?.every(({ ok, critical }) => ok || !critical) ?? true);
  }
}

function isShared({ predecessor, upgrade }: Fleet): boolean {
  return predecessor === 'serves' || upgrade.state === 'ready';
}
