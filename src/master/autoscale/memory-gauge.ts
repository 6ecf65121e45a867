/** Tells the core how much memory is left, as long as the pool follows its load. */
import type { Event } from '../../core/events.ts';
import type { Fleet } from '../../core/model.ts';
import { availableMemory } from '../../system/memory.ts';

/** Milliseconds from one look to the next. */
const every = 2_000;

export class MemoryGauge {
  readonly #post: (event: Event) => void;
  readonly #measure: () => number | null;
  #timer: NodeJS.Timeout | null = null;

  /** @param measure gives bytes; only tests have another one */
  constructor(post: (event: Event) => void, measure: () => number | null = availableMemory) {
    this.#post = post;
    this.#measure = measure;
  }

  onTurn({ policy, stopping }: Fleet): void {
    const isWanted = policy.autoscale !== null && stopping === null;
    if (isWanted === (this.#timer !== null)) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = isWanted ? setInterval(() => this.#look(), every).unref() : null;
    if (isWanted) this.#look();
  }

  #look(): void {
    this.#post({ type: 'memoryMeasured', available: this.#measure() });
  }
}
