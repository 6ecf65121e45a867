/** What a load client counts. Every request sent ends up answered or failed; nothing is ever retried in silence. */
import assert from 'node:assert/strict';
import { Histogram, type HistogramData } from './histogram.ts';

/** How a request can fail; a client that waits in vain is the worst, not the mildest. */
export const failureKinds = [
  'refused',
  'reset-before-byte',
  'reset-mid-body',
  'client-timeout',
  'wrong-body',
  'http-5xx',
  'other',
] as const;
export type Failure = (typeof failureKinds)[number];

/** Who answered, as the answer itself says. */
export interface Who {
  readonly pid?: number;
  readonly version?: string;
}

/** A request under way. */
export interface Ticket {
  readonly at: number;
  readonly phase: string;
}

/** A tally as data, to cross from a child process. */
export interface TallyData {
  readonly clients: number;
  readonly sent: number;
  readonly answered: number;
  readonly retried: number;
  readonly connections: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly details: readonly string[];
  readonly pids: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, number>>;
  readonly latency: Readonly<Record<string, HistogramData>>;
}

const detailsKept = 20;
const keptOfAKind = 5;

export class Tally {
  /** Who is counted here. */
  clients = 0;
  sent = 0;
  answered = 0;
  /** Sent again as the protocol allows (HTTP/2 streams the server said it never saw). */
  retried = 0;
  /** Connections opened. */
  connections = 0;
  readonly failures = new Map<string, number>();
  /** The first failures, in words. */
  readonly details: string[] = [];
  /** Answers by worker pid, and by version of the app. */
  readonly pids = new Map<string, number>();
  readonly versions = new Map<string, number>();
  /** Milliseconds, by the phase in which the request was sent. */
  readonly latency = new Map<string, Histogram>();
  /** Labels the requests sent from now on. */
  phase = 'steady';

  begin(): Ticket {
    this.sent++;
    return { at: performance.now(), phase: this.phase };
  }

  answer(ticket: Ticket, who: Who = {}): void {
    this.answered++;
    if (who.pid !== undefined) count(this.pids, String(who.pid), 1);
    if (who.version !== undefined) count(this.versions, who.version, 1);
    this.#histogram(ticket.phase).add(performance.now() - ticket.at);
  }

  fail(ticket: Ticket, failure: Failure, detail: string): void {
    count(this.failures, failure, 1);
    // What is rare says more than what is frequent.
    if (this.details.length >= detailsKept || (this.failures.get(failure) ?? 0) > keptOfAKind) return;
    const after = Math.round(performance.now() - ticket.at);
    this.details.push(`${failure} after ${after} ms (${ticket.phase}): ${detail}`);
  }

  get failed(): number {
    return [...this.failures.values()].reduce((sum, each) => sum + each, 0);
  }

  failedAs(failure: Failure): number {
    return this.failures.get(failure) ?? 0;
  }

  /** What was inside a process that died. */
  get resets(): number {
    return this.failedAs('reset-before-byte') + this.failedAs('reset-mid-body');
  }

  /** Latencies of all phases together. */
  get overall(): Histogram {
    const all = new Histogram();
    for (const each of this.latency.values()) all.merge(each.toJSON());
    return all;
  }

  merge(other: TallyData): this {
    this.clients += other.clients;
    this.sent += other.sent;
    this.answered += other.answered;
    this.retried += other.retried;
    this.connections += other.connections;
    for (const [failure, times] of Object.entries(other.failures)) count(this.failures, failure, times);
    for (const [pid, times] of Object.entries(other.pids)) count(this.pids, pid, times);
    for (const [version, times] of Object.entries(other.versions)) count(this.versions, version, times);
    for (const [phase, histogram] of Object.entries(other.latency)) this.#histogram(phase).merge(histogram);
    this.details.push(...other.details.slice(0, Math.max(0, detailsKept - this.details.length)));
    return this;
  }

  /** Nothing may be unaccounted for, once every client has stopped. */
  assertComplete(): void {
    assert.equal(this.answered + this.failed, this.sent, 'requests that were neither answered nor failed');
  }

  toJSON(): TallyData {
    return {
      clients: this.clients,
      sent: this.sent,
      answered: this.answered,
      retried: this.retried,
      connections: this.connections,
      failures: Object.fromEntries(this.failures),
      details: this.details,
      pids: Object.fromEntries(this.pids),
      versions: Object.fromEntries(this.versions),
      latency: Object.fromEntries([...this.latency].map(([phase, each]) => [phase, each.toJSON()])),
    };
  }

  #histogram(phase: string): Histogram {
    const found = this.latency.get(phase) ?? new Histogram();
    this.latency.set(phase, found);
    return found;
  }
}

function count(map: Map<string, number>, key: string, by: number): void {
  map.set(key, (map.get(key) ?? 0) + by);
}
