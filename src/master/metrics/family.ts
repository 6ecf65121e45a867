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

/** A family of one sample without labels. */
export function single(type: 'counter' | 'gauge', name: string, help: string, value: number): Family {
  return family(type, name, help, [[{}, value]]);
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
