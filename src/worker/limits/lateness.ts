/**
 * How late the event loop is at this moment. The heartbeat's figure is of half a second ago; who is to be let in is decided
 * by what was in the last half second, and by what is due now.
 */
import { marked } from '../evidence.ts';

/** Milliseconds between two looks, if the loop is in time. */
const lookEvery = 50;
/** Milliseconds for which a look counts. */
const memory = 500;

interface Look {
  readonly at: number;
  readonly late: number;
}

export class Lateness {
  #looks: readonly Look[] = [];
  #dueAt = Number.POSITIVE_INFINITY;
  readonly #now: () => number;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Begins to look. Nothing keeps the process alive. */
  start(): void {
    this.#expect();
    const look = marked(() => {
      this.look();
      again();
    });
    const again = (): void => void setTimeout(look, lookEvery).unref();
    again();
  }

  /** A look was due at {@link lookEvery} after the one before. */
  look(): void {
    const at = this.#now();
    const late = Math.max(0, at - this.#dueAt);
    this.#looks = [...this.#looks.filter((look) => at - look.at < memory), { at, late }];
    this.#expect();
  }

  /** Milliseconds: the mean of the last looks, or by how much the next one is late already. 0 before the start. */
  get(): number {
    const now = this.#now();
    let sum = 0;
    let count = 0;
    for (const { at, late } of this.#looks) {
      if (now - at >= memory) continue;
      sum += late;
      count += 1;
    }
    return Math.max(count === 0 ? 0 : sum / count, now - this.#dueAt);
  }

  #expect(): void {
    this.#dueAt = this.#now() + lookEvery;
  }
}
