/** Reads the metrics that the app itself keeps with prom-client, where it does. */
import { onModuleLoaded } from '../../ipc/node-internals.ts';
import type { AppMetric } from '../../ipc/traffic.ts';
import type { Channel } from '../channel.ts';

/** Milliseconds between two looks. */
const every = 1_000;
/** Longest report, characters. Beyond it the app has labels without bounds. */
const maxLength = 2 * 1024 * 1024;

/** Registries beyond these belong to no one who would miss them: some are made for a single page. */
const maxRegistries = 50;

interface Registry {
  getMetricsAsJSON(): unknown;
  getMetricsAsArray?(): readonly object[];
}

type Register = (this: Registry, metric: unknown) => unknown;

export class AppRegistries {
  readonly #channel: Channel;
  /** In the order in which they were used first; an app may let go of one. */
  #found: WeakRef<Registry>[] = [];
  readonly #known = new WeakSet<Registry>();
  #last = '';
  #isBusy = false;
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

  /** Sends what there is, where it is not what was sent before. Never throws. */
  async report(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const metrics = await this.#collect();
      if (metrics.length > 0) this.#send(metrics);
    } catch (error) {
      this.#complain(`the app's metrics cannot be read: ${String(error)}`);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Whoever registers a metric is a registry: the default one, and those the app makes. */
  #watch(exports: unknown): void {
    const prototype = (exports as { prototype?: { registerMetric?: Register } } | null)?.prototype;
    const original = prototype?.registerMetric;
    if (prototype === undefined || typeof original !== 'function') return;
    const add = (registry: Registry): void => this.#add(registry);
    prototype.registerMetric = function registerMetric(metric) {
      add(this);
      return original.call(this, metric);
    };
  }

  #add(registry: Registry): void {
    if (this.#known.has(registry) || typeof registry.getMetricsAsJSON !== 'function') return;
    this.#found = this.#found.filter((reference) => reference.deref() !== undefined);
    if (this.#found.length >= maxRegistries) return;
    this.#known.add(registry);
    this.#found.push(new WeakRef(registry));
  }

  /** A metric that is in several registries, as after a merge of them, is taken once. */
  async #collect(): Promise<AppMetric[]> {
    const seen = new Set<object>();
    const all: AppMetric[] = [];
    for (const reference of this.#found) {
      const registry = reference.deref();
      if (registry === undefined) continue;
      const fresh = registry.getMetricsAsArray?.().filter((metric) => !seen.has(metric)) ?? null;
      if (fresh?.length === 0) continue;
      const names = fresh === null ? null : new Set(fresh.map((metric) => (metric as { name?: unknown }).name));
      const metrics = (await registry.getMetricsAsJSON()) as readonly AppMetric[];
      all.push(...metrics.filter(({ name }) => names === null || names.has(name)));
      for (const metric of fresh ?? []) seen.add(metric);
    }
    return all;
  }

  #send(metrics: readonly AppMetric[]): void {
    const text = JSON.stringify(metrics);
    if (text === this.#last) return;
    if (text.length > maxLength) {
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
