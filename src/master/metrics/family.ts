/** A family of metrics as plain data: what the exposition formats and statsd are rendered from. */

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** `_bucket`, `_sum`, `_count`, or nothing. */
  readonly suffix: string;
  readonly labels: Labels;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly samples: readonly Sample[];
}

export function family(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  values: Iterable<readonly [Labels, number]>,
): Family {
  return { name, help, type, samples: [...values].map(([labels, value]) => ({ suffix: '', labels, value })) };
}

/** The samples of one histogram. `buckets` is one longer than `bounds`, and each observation is in one of them. */
export function histogramSamples(
  labels: Labels,
  bounds: readonly number[],
  buckets: readonly number[],
  sum: number,
): Sample[] {
  let count = 0;
  const samples = buckets.map((inBucket, index): Sample => {
    count += inBucket;
    const le = index < bounds.length ? String(bounds[index]) : '+Inf';
    return { suffix: '_bucket', labels: { ...labels, le }, value: count };
  });
  return [...samples, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }];
}

/** Counts by label: a counter that only goes up. */
export class Tally {
  readonly #counts = new Map<string, number>();

  /** @param known values that are there from the start: a rate needs a zero to begin with */
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

/** Observations in buckets. */
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
