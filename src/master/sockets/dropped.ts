/**
 * Lets go of addresses that a reload drops. The last worker that serves one empties its queue and closes it, after this
 * process has closed its own copy: were that the last one, the kernel would reset what waits in it.
 */
import type { Pool } from '../workers/pool.ts';
import type { Grants } from './grants.ts';
import type { Listeners } from './listeners.ts';

export interface DroppedOptions {
  readonly grants: Grants;
  readonly listeners: Listeners;
  readonly pool: Pool;
}

/** Milliseconds after which it is closed though another worker has not said that it has. */
const patience = 1_000;

/** What a worker is to close last. */
interface Drop {
  readonly keys: readonly string[];
  readonly timer: NodeJS.Timeout;
}

export class Dropped {
  readonly #options: DroppedOptions;
  /** By the worker that closes last. */
  readonly #drops = new Map<number, Drop>();

  constructor(options: DroppedOptions) {
    this.#options = options;
  }

  /**
   * A worker is about to drain because of a reload.
   *
   * @param staying workers that go on serving for now
   * @param named keys of the listeners that the configuration in force names
   * @returns keys of the listeners that it closes last: it is told when it is `alone`
   */
  begin(id: number, staying: Iterable<number>, named: ReadonlySet<string>): readonly string[] {
    const { grants, listeners } = this.#options;
    // Another master may want it.
    if (listeners.isShared) return [];
    const served = grants.keysOf(staying);
    const taken = new Set([...this.#drops.values()].flatMap(({ keys }) => keys));
    const keys = [...grants.keysOf([id])].filter(
      (key) => listeners.isConfigured(key) && !named.has(key) && !served.has(key) && !taken.has(key),
    );
    if (keys.length === 0) return keys;
    for (const key of keys) grants.gather(id, key);
    this.#drops.set(id, { keys, timer: setTimeout(() => this.#end(id), patience) });
    return keys;
  }

  /** A worker has closed its sockets, or has left. */
  step(): void {
    const { grants } = this.#options;
    for (const [id, { keys }] of this.#drops) if (!keys.some((key) => grants.othersHold(id, key))) this.#end(id);
  }

  #end(id: number): void {
    const drop = this.#drops.get(id);
    if (drop === undefined) return;
    clearTimeout(drop.timer);
    this.#drops.delete(id);
    for (const key of drop.keys) this.#options.listeners.close(key);
    this.#options.pool.send(id, { type: 'alone' });
  }
}
