/** Looking into workers: what operators ask for, and the part of the master that has the answers. */
import type { Settings } from '../../config/resolved.ts';
import type { Event } from '../../core/events.ts';
import type { Fleet, Worker } from '../../core/model.ts';
import type { ShownRequests, ShownStack } from '../../protocol/requests.ts';
import type { Logger } from '../log/logger.ts';
import type { Stuck } from '../stuck/stuck.ts';
import type { Pool } from '../workers/pool.ts';
import { InFlight } from './in-flight.ts';
import { Inspections } from './inspections.ts';
import { type Known, type Showing, shownRequests, shownStack } from './shown.ts';
import { Stacks } from './stacks.ts';

export interface InsideOptions {
  readonly pool: Pool;
  readonly stuck: Stuck;
  readonly settingsOf: (generation: number) => Settings;
  readonly fleet: () => Fleet;
  /** Of the running clock. */
  readonly now: () => number;
  readonly post: (event: Event) => void;
  readonly logger: () => Logger;
}

export class Inside {
  readonly inFlight: InFlight;
  readonly inspections: Inspections;
  readonly #stacks: Stacks;
  readonly #options: InsideOptions;

  constructor(options: InsideOptions) {
    const { pool, stuck, settingsOf, post, logger } = options;
    this.#options = options;
    this.inFlight = new InFlight(pool);
    this.#stacks = new Stacks(stuck, settingsOf);
    this.inspections = new Inspections({ pool, post, logger, whenTurns: (id) => this.inFlight.heard(id) });
  }

  get fleet(): Fleet {
    return this.#options.fleet();
  }

  /**
   * @param slot of this one only; `null` is all
   * @param wakesBlocked a worker whose event loop is blocked is asked by a signal
   */
  async requests(slot: number | null, showing: Showing, wakesBlocked: boolean): Promise<ShownRequests> {
    const workers = this.#workers(slot).filter(({ phase }) => phase.name !== 'booting' && phase.name !== 'spare');
    const known = await Promise.all(
      workers.map(async (worker): Promise<Known> => {
        const told = await this.inFlight.ask(worker);
        if (told !== null) return { worker, told, isSilent: false };
        const last = this.inFlight.last(worker.id);
        if (!wakesBlocked) return { worker, told: last, isSilent: true };
        const { requests, problem } = await this.#stacks.take(worker);
        const seen = problem === null ? this.inFlight.seen(requests) : last;
        return { worker, told: seen, isSilent: true };
      }),
    );
    return shownRequests(known, showing);
  }

  /** @param slot of this one only; `null` is all */
  async stacks(slot: number | null): Promise<readonly ShownStack[]> {
    return await Promise.all(
      this.#workers(slot).map(async (worker) => {
        const capture = await this.#stacks.take(worker);
        return shownStack(worker, capture, this.#options.now());
      }),
    );
  }

  /** The worker of a slot that serves, else one that is on its way to; `null` if there is none. */
  workerIn(slot: number): Worker | null {
    const there = this.#workers(slot);
    return there.findLast(({ phase }) => phase.name === 'ready') ?? there.at(-1) ?? null;
  }

  /** Slots that have a worker, in order. */
  get slots(): readonly number[] {
    const slots = this.fleet.workers.flatMap(({ slot }) => slot ?? []);
    return [...new Set(slots)].sort((a, b) => a - b);
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.inFlight.forget(id);
    this.#stacks.forget(id);
    this.inspections.forget(id);
  }

  #workers(slot: number | null): readonly Worker[] {
    const last = Number.MAX_SAFE_INTEGER;
    return this.fleet.workers
      .filter(
        (worker) => worker.pid !== null && worker.phase.name !== 'killed' && (slot === null || worker.slot === slot),
      )
      .sort((a, b) => (a.slot ?? last) - (b.slot ?? last) || a.id - b.id);
  }
}
