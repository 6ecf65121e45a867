/**
 * Lets go of the listening sockets at a stop. One worker goes on accepting until all other processes have closed their
 * copies, this one included; then it empties the queues and closes them. Were several to close at once, each would leave
 * what waits to the others, and the kernel would reset it.
 */
import type { Worker } from '../../core/model.ts';
import type { Pool } from '../workers/pool.ts';
import type { Grants } from './grants.ts';
import type { Listeners } from './listeners.ts';

export interface LastCallOptions {
  readonly grants: Grants;
  readonly listeners: Listeners;
  readonly pool: Pool;
}

/** Milliseconds after which the last worker closes though another one has not said that it has. */
const patience = 1_000;

export class LastCall {
  readonly #options: LastCallOptions;
  /** The worker that goes on accepting; `null` if there is none. */
  #last: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LastCallOptions) {
    this.#options = options;
  }

  /** The service stops: chooses the worker that accepts last, and from every queue. */
  begin(workers: readonly Worker[]): void {
    const { grants, listeners } = this.#options;
    grants.end();
    // Another master goes on accepting.
    const last = listeners.isShared ? undefined : workers.filter((worker) => this.#isFit(worker)).at(-1);
    if (last === undefined) {
      listeners.closeAll();
      return;
    }
    this.#last = last.id;
    const most = Math.max(...listeners.all().map(({ queues }) => queues.length));
    grants.assign(
      last.id,
      Array.from({ length: most }, (_, queue) => queue),
    );
    this.#timer = setTimeout(() => this.#end(), patience);
    this.step();
  }

  isLast(id: number): boolean {
    return this.#last === id;
  }

  /** A worker has closed its sockets, or has left. */
  step(): void {
    if (this.#last !== null && !this.#options.grants.othersAccept(this.#last)) this.#end();
  }

  #end(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#options.listeners.closeAll();
    if (this.#last !== null) this.#options.pool.send(this.#last, { type: 'alone' });
  }

  /** Not one that is leaving already. */
  #isFit({ held, id, phase }: Worker): boolean {
    const stays = phase.name === 'ready' || (phase.name === 'draining' && phase.reason === 'shutdown');
    return stays && !held && this.#options.grants.accepts(id);
  }
}
