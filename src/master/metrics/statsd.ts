/**
 * Sends the figures to a statsd by UDP: what requests are is named as Gunicorn names it, everything else as on the page
 * of metrics. With tags, labels become tags (DogStatsD); without, they become parts of the name.
 *
 * @see https://docs.gunicorn.org/en/stable/instrumentation.html
 * @see https://github.com/statsd/statsd/blob/master/docs/metric_types.md
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Settings } from '../../config/resolved.ts';
import type { Family, Labels, Sample } from './family.ts';

/** Bytes of a datagram that pass every network in one piece. */
const maxDatagram = 1_400;
/** Milliseconds between two reports. */
const every = 1_000;

export type StatsdSettings = Pick<Settings, 'statsd' | 'statsdPrefix' | 'statsdTags'>;

/** Turns families into lines; keeps what it has reported, for counters are told by what was added. */
export class StatsdLines {
  readonly #last = new Map<string, number>();

  lines(families: readonly Family[], { statsdPrefix, statsdTags }: StatsdSettings): string[] {
    const naming = { prefix: statsdPrefix === '' ? '' : `${statsdPrefix}.`, tags: statsdTags };
    return [
      ...this.#asGunicorn(families, naming),
      ...families.flatMap(({ name, type, samples }) =>
        samples.flatMap((sample) => this.#line(name, type, sample, naming) ?? []),
      ),
    ];
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
      // One timing that stands for all of them: its rate says for how many.
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
    // Buckets are what a statsd makes itself.
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

interface Naming {
  readonly prefix: string;
  readonly tags: Readonly<Record<string, string>>;
}

function named({ prefix, tags }: Naming, name: string, labels: Labels, value: string): string {
  const hasTags = Object.keys(tags).length > 0;
  if (!hasTags) return `${[`${prefix}${name}`, ...Object.values(labels).map(part)].join('.')}:${value}`;
  const all = Object.entries({ ...labels, ...tags }).map(([key, text]) => `${tagText(key)}:${tagText(text)}`);
  return `${prefix}${name}:${value}|#${all.join(',')}`;
}

/** Of a name in which dots part what belongs together. */
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

/** Reports once a second, while there is somebody to report to. Never throws, and waits for nobody. */
export class Statsd {
  readonly #families: () => readonly Family[];
  readonly #settings: () => StatsdSettings;
  readonly #lines = new StatsdLines();
  #socket: Socket | null = null;
  #isSilent = false;

  constructor(families: () => readonly Family[], settings: () => StatsdSettings) {
    this.#families = families;
    this.#settings = settings;
  }

  start(): void {
    setInterval(() => this.report(), every).unref();
  }

  /** From now on another master reports. @param isSilent false where this one does again */
  silence(isSilent: boolean): void {
    this.#isSilent = isSilent;
  }

  /** What there is by now was reported by another master. */
  rebase(): void {
    this.#lines.lines(this.#families(), this.#settings());
  }

  /** @returns once what was reported is with the kernel */
  async report(): Promise<void> {
    const settings = this.#settings();
    const { statsd } = settings;
    if (statsd === null || this.#isSilent) return;
    const socket = this.#open(statsd.host);
    const sent = datagrams(this.#lines.lines(this.#families(), settings)).map(
      (datagram) => new Promise<void>((resolve) => socket.send(datagram, statsd.port, statsd.host, () => resolve())),
    );
    await Promise.all(sent);
  }

  #open(host: string): Socket {
    if (this.#socket === null) {
      this.#socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
      // Nobody listens there, for now: it is UDP.
      this.#socket.on('error', () => {});
      this.#socket.unref();
    }
    return this.#socket;
  }
}
