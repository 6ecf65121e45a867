/**
 * What statsd gets: the figures of requests under Gunicorn's names, everything else under the names that the metrics page
 * has. With tags, labels become tags (DogStatsD); without, they become parts of the name.
 *
 * @see https://docs.gunicorn.org/en/stable/instrumentation.html
 * @see https://github.com/statsd/statsd/blob/master/docs/metric_types.md
 */
import type { Settings } from '../../config/resolved.ts';
import type { Family, Labels, Sample } from './family.ts';

/** Bytes of a datagram that pass every network in one piece. */
const maxDatagram = 1_400;

export type Naming = Pick<Settings, 'statsdPrefix' | 'statsdTags'>;

/** Turns families into lines; remembers what it has reported, for a counter is sent as what was added to it. */
export class StatsdLines {
  readonly #last = new Map<string, number>();

  lines(families: readonly Family[], naming: Naming): string[] {
    return [
      ...this.#asGunicorn(families, naming),
      ...families.flatMap(({ name, type, samples }) =>
        samples.flatMap((sample) => this.#line(name, type, sample, naming) ?? []),
      ),
    ];
  }

  /** What `change` adds to the counters is not to be sent: it has been. What was not sent before that still is. */
  skip(change: () => void, families: () => readonly Family[], naming: Naming): void {
    const [before, after] = [new StatsdLines(), new StatsdLines()];
    before.lines(families(), naming);
    change();
    after.lines(families(), naming);
    for (const [key, value] of after.#last) {
      this.#last.set(key, (this.#last.get(key) ?? 0) + value - (before.#last.get(key) ?? 0));
    }
  }

  #asGunicorn(families: readonly Family[], naming: Naming): string[] {
    const samplesOf = (name: string): readonly Sample[] => families.find((each) => each.name === name)?.samples ?? [];
    const lines: string[] = [];
    const byStatus = new Map<string, number>();
    for (const { labels, value } of samplesOf('http_requests_total'))
      byStatus.set(labels.status ?? '', (byStatus.get(labels.status ?? '') ?? 0) + value);
    let added = 0;
    for (const [status, total] of byStatus) {
      const more = this.#added(`gunicorn ${status}`, total);
      added += more;
      if (more > 0) lines.push(named(naming, `request.status.${status}`, {}, `${more}|c`));
    }
    const seconds = this.#added('gunicorn seconds', sumOf(samplesOf('http_request_duration_seconds'), '_sum'));
    if (added > 0) {
      lines.push(named(naming, 'requests', {}, `${added}|c`));
      // One timing that stands for all of them: its sample rate says for how many.
      const mean = round((seconds * 1_000) / added);
      lines.push(named(naming, 'request.duration', {}, `${mean}|ms${added > 1 ? `|@${1 / added}` : ''}`));
    }
    const workers = samplesOf('prefork_workers').reduce((sum, { value }) => sum + value, 0);
    return [...lines, named(naming, 'workers', {}, `${workers}|g`)];
  }

  #line(name: string, type: Family['type'], sample: Sample, naming: Naming): string | null {
    const { suffix, labels, value } = sample;
    const full = `${name}${suffix}`;
    if (type === 'gauge') return named(naming, full, labels, `${round(value)}|g`);
    // A statsd makes buckets itself.
    if (suffix === '_bucket') return null;
    const more = this.#added(`${full} ${JSON.stringify(labels)}`, value);
    return more > 0 ? named(naming, full, labels, `${round(more)}|c`) : null;
  }

  #added(key: string, value: number): number {
    const more = value - (this.#last.get(key) ?? 0);
    this.#last.set(key, value);
    return more;
  }
}

function named({ statsdPrefix, statsdTags: tags }: Naming, name: string, labels: Labels, value: string): string {
  const prefix = statsdPrefix === '' ? '' : `${statsdPrefix}.`;
  const hasTags = Object.keys(tags).length > 0;
  if (!hasTags) return `${[`${prefix}${name}`, ...Object.values(labels).map(part)].join('.')}:${value}`;
  const all = Object.entries({ ...labels, ...tags }).map(([key, text]) => `${tagText(key)}:${tagText(text)}`);
  return `${prefix}${name}:${value}|#${all.join(',')}`;
}

/** A part of a name; dots separate the parts. */
function part(text: string): string {
  return text.replace(/[^\w-]+/g, '_').replace(/^_+|_+$/g, '') || '_';
}

function tagText(text: string): string {
  return text.replace(/[\s,|#:@]+/g, '_');
}

function sumOf(samples: readonly Sample[], suffix: string): number {
  return samples.reduce((sum, sample) => (sample.suffix === suffix ? sum + sample.value : sum), 0);
}

function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

/** Packs lines into datagrams. */
export function datagrams(lines: readonly string[]): string[] {
  const packed: string[] = [];
  let current = '';
  for (const line of lines) {
    if (current !== '' && current.length + line.length + 1 > maxDatagram) {
      packed.push(current);
      current = '';
    }
    current = current === '' ? line : `${current}\n${line}`;
  }
  return current === '' ? packed : [...packed, current];
}
