/** Renders families in the text formats that Prometheus reads, by prom-client. */
import promClient, { type Metric, type OpenMetricsContentType, Registry } from 'prom-client';
import type { Aggregators } from './app.ts';
import type { Family } from './family.ts';

/** prom-client exports them, but its types do not. */
export const { aggregators } = promClient as unknown as { readonly aggregators: Aggregators };

/** Prometheus's text format, or OpenMetrics. */
export type Format = 'prometheus' | 'openmetrics';

export interface Exposition {
  /** For the header `content-type`. */
  readonly type: string;
  readonly text: string;
}

/**
 * Renders a page.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export async function expose(families: readonly Family[], format: Format = 'prometheus'): Promise<Exposition> {
  const isOpen = format === 'openmetrics';
  const registry = new Registry<OpenMetricsContentType | typeof Registry.PROMETHEUS_CONTENT_TYPE>();
  if (isOpen) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const claimed = new Set<string>();
  for (const { name: full, help, type, samples } of families) {
    if (samples.length === 0) continue;
    // The family of an OpenMetrics counter goes without it, and prom-client adds it to the samples.
    const name = isOpen && type === 'counter' ? full.replace(/_total$/, '') : full;
    // An app may have both `jobs` and `jobs_total`, which OpenMetrics takes for one, or `size_count` beside the histogram
    // `size`: one of them must not make the whole page unreadable.
    const names = namesOf(name, type, isOpen);
    if (names.some((each) => claimed.has(each))) continue;
    for (const each of names) claimed.add(each);
    const values = samples.map(({ suffix, labels, value }) => ({
      labels,
      value,
      ...(suffix === '' ? {} : { metricName: `${name}${suffix}` }),
    }));
    // As prom-client itself registers what comes from other processes: anything with a name and a get().
    registry.registerMetric({ name, help, type, get: () => ({ name, help, type, values }) } as unknown as Metric);
  }
  return { type: registry.contentType, text: await registry.metrics() };
}

/** What a family is called, and its samples. */
function namesOf(name: string, type: Family['type'], isOpen: boolean): string[] {
  switch (type) {
    case 'histogram':
      return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`];
    case 'summary':
      return [name, `${name}_sum`, `${name}_count`];
    case 'counter':
      return isOpen ? [name, `${name}_total`] : [name];
    case 'gauge':
      return [name];
  }
}
