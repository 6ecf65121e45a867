/** What the master counts itself, as it happens. */
import { type Family, histogramSamples, type Labels } from './family.ts';

/** Counts by label: a counter that only goes up. */
export class Tally {
  readonly #counts = new Map<string, number>();

  /** @param known values that exist from the start: a rate needs a zero to begin with */
  constructor(known: readonly string[] = []) {
    for (const value of known) this.#counts.set(value, 0);
  }

  add(value: string, by = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + by);
  }

  by(label: string): [Labels, number][] {
    return [...this.#counts].map(([value, count]) => [{ [label]: value }, count]);
  }
}

/** Durations in the buckets of a histogram. */
export class Durations {
  readonly #bounds: readonly number[];
  readonly #buckets: number[];
  #sum = 0;

  /** @param bounds ascending, seconds */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#buckets = [...bounds.map(() => 0), 0];
  }

  observe(seconds: number): void {
    const index = this.#bounds.findIndex((bound) => seconds <= bound);
    const at = index < 0 ? this.#bounds.length : index;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1;
    this.#sum += seconds;
  }

  family(name: string, help: string): Family {
    return { name, help, type: 'histogram', samples: histogramSamples({}, this.#bounds, this.#buckets, this.#sum) };
  }
}
