/** Reads the metrics that the app itself keeps with prom-client, where it does. */
import { createRequire } from 'node:module';
import type { AppMetric } from '../../ipc/traffic.ts';
import type { Channel } from '../channel.ts';

/** Milliseconds between two looks. */
const every = 1_000;
/** Longest report, characters. Beyond it the app has labels without bounds. */
const maxLength = 2 * 1024 * 1024;

interface Registry {
  getMetricsAsJSON(): unknown;
}

export class AppRegistries {
  readonly #channel: Channel;
  readonly #found = new Set<Registry>();
  #last = '';
  #isBusy = false;
  #hasComplained = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  start(): void {
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
      this.#find();
      if (this.#found.size > 0) this.#send(await Promise.all([...this.#found].map((each) => each.getMetricsAsJSON())));
    } catch (error) {
      this.#complain(`the app's metrics cannot be read: ${String(error)}`);
    } finally {
      this.#isBusy = false;
    }
  }

  /** The default registry of each copy of prom-client that is loaded; ES modules get theirs from the same place. */
  #find(): void {
    const { cache } = createRequire(import.meta.url);
    for (const path in cache) {
      if (!/[/\\]prom-client[/\\]index\.js$/.test(path)) continue;
      const { register } = (cache[path]?.exports ?? {}) as { register?: Partial<Registry> };
      if (typeof register?.getMetricsAsJSON === 'function') this.#found.add(register as Registry);
    }
  }

  #send(registries: readonly unknown[]): void {
    const metrics = registries.flat() as AppMetric[];
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
