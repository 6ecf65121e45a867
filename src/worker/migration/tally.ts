/** What this worker does with connections, until the master is told. */
import type { KeptReason, MigrationDelta } from '../../protocol/migration.ts';
import type { Channel } from '../channel.ts';
import type { Connection } from '../traffic/connection.ts';

type Counted = Exclude<keyof MigrationDelta, 'kept'>;

/** Milliseconds between two reports. */
const reportEvery = 500;

export class Tally {
  readonly #channel: Channel;
  /** Each counts once. */
  readonly #kept = new WeakSet<Connection>();
  #counts = zero();
  readonly #reasons = new Map<KeptReason, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  count(what: Counted): void {
    this.#counts[what] += 1;
    this.#reportSoon();
  }

  /** The connection was to go, and cannot. */
  keep(connection: Connection, reason: KeptReason): void {
    if (this.#kept.has(connection)) return;
    this.#kept.add(connection);
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    this.#reportSoon();
  }

  /** Whether it is known that the connection cannot go. */
  isKept(connection: Connection): boolean {
    return this.#kept.has(connection);
  }

  /** Tells the master what has been done since the last time. */
  report(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const counts = this.#counts;
    const kept = [...this.#reasons];
    if (Object.values(counts).every((count) => count === 0) && kept.length === 0) return;
    this.#counts = zero();
    this.#reasons.clear();
    this.#channel.send({ type: 'migrated', delta: { ...counts, kept } });
  }

  #reportSoon(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.report(), reportEvery);
    this.#timer.unref();
  }
}

function zero(): Record<Counted, number> {
  return { given: 0, taken: 0, returned: 0, lost: 0 };
}
