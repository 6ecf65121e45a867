/** Reads the metrics that the app itself keeps with prom-client, if it does. */

import type { AppMetric } from '../../protocol/traffic.ts';
import { onModuleLoaded } from '../../system/node-internals.ts';
import type { Channel } from '../channel.ts';
import { MetricReader } from './metric-reader.ts';

/** Milliseconds between two looks. */
const every = 1_000;
/** Longest report, bytes. Beyond it the app has labels without bounds. */
const maxLength = 2 * 1024 * 1024;
/** Milliseconds that a metric may take to be collected; and when the worker leaves. */
const patience = 5_000;
const lastPatience = 150;
/** Registries that are read. */
const maxRegistries = 50;

interface Registry {
  getMetricsAsArray(): unknown;
  registerMetric(metric: unknown): void;
  readonly _defaultLabels?: unknown;
}

interface PrometheusRegistry {
  readonly prototype?: { registerMetric?: Register };
  readonly globalRegistry?: Registry;
}

type Register = (this: Registry, metric: unknown) => unknown;

export class AppRegistries {
  readonly #channel: Channel;
  readonly #reader = new MetricReader((what) => this.#complain(what));
  /** In the order of their first use. Weak: an app may drop one. */
  #found: WeakRef<Registry>[] = [];
  readonly #known = new WeakSet<Registry>();
  /** Registries that are made later are often for a single request, and are not read. */
  #isStarting = true;
  #last = '';
  #running: Promise<void> | null = null;
  #round = 0;
  #hasComplained = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** To be called before the app is loaded. */
  start(): void {
    onModuleLoaded(/[/\\]prom-client[/\\]lib[/\\]registry\.js$/, (exports) => this.#watch(exports));
    setInterval(() => {
      // Nothing piles up behind a master that does not read.
      if (this.#channel.backlog === 0) void this.report();
    }, every).unref();
  }

  /** The app listens. */
  onListening(): void {
    this.#isStarting = false;
  }

  /** Sends the app's metrics if they have changed since the last report. Never throws. */
  report(): Promise<void> {
    this.#running ??= this.#report(patience).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** The last figures; what need not be waited for comes first, for a busy machine may leave no time for the rest. */
  async finish(): Promise<void> {
    await this.#report(0);
    if (await this.#reader.settle(lastPatience)) await this.#report(0);
  }

  async #report(within: number): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    try {
      const registries = this.#found.flatMap((reference) => reference.deref() ?? []);
      if (registries.length === 0) return;
      const byName = new Map<string, AppMetric>();
      for (const metrics of await Promise.all(registries.map((each) => this.#read(each, within)))) {
        // The same metric may be in several registries, as after a merge of them; and so may prom-client's own of the process.
        for (const metric of metrics) if (!byName.has(metric.name)) byName.set(metric.name, metric);
      }
      // What was read meanwhile is newer.
      if (round === this.#round) this.#send([...byName.values()]);
    } catch (error) {
      this.#complain(`the app's metrics cannot be read: ${String(error)}`);
    }
  }

  async #read(registry: Registry, within: number): Promise<readonly AppMetric[]> {
    const metrics = registry.getMetricsAsArray();
    if (!Array.isArray(metrics)) return [];
    const { _defaultLabels: labels } = registry;
    return await this.#reader.read(metrics, typeof labels === 'object' && labels !== null ? { ...labels } : {}, within);
  }

  /** An object on which `registerMetric` is called is a registry: the default one, and those the app makes. */
  #watch(exports: unknown): void {
    const { prototype, globalRegistry } = (exports ?? {}) as PrometheusRegistry;
    const original = prototype?.registerMetric;
    if (prototype === undefined || typeof original !== 'function') return;
    const add = (registry: Registry): void => this.#add(registry);
    prototype.registerMetric = function registerMetric(metric) {
      add(this);
      return original.call(this, metric);
    };
    // The default one, whenever it is used.
    if (globalRegistry !== undefined) this.#add(globalRegistry);
  }

  #add(registry: Registry): void {
    if (!this.#isStarting || this.#known.has(registry) || typeof registry.getMetricsAsArray !== 'function') return;
    this.#found = this.#found.filter((reference) => reference.deref() !== undefined);
    if (this.#found.length >= maxRegistries) return;
    this.#known.add(registry);
    this.#found.push(new WeakRef(registry));
  }

  #send(metrics: readonly AppMetric[]): void {
    const text = JSON.stringify(metrics);
    if (text === this.#last) return;
    if (Buffer.byteLength(text) > maxLength) {
      this.#complain("the app's metrics are too many to be collected");
      return;
    }
    this.#last = text;
    this.#channel.send({ type: 'app-metrics', metrics });
  }

  #complain(what: string): void {
    if (!this.#hasComplained) console.error(`prefork: ${what} (said once)`);
    this.#hasComplained = true;
  }
}
