/**
 * HTTP/2 sessions in a drain. The client is first asked to open no new streams, while those on their way are still
 * served; after the linger the session is closed, which lets the streams in flight end.
 */
import { announceGoaway } from '../ipc/node-internals.ts';
import type { Plan } from './drain.ts';
import type { Connection } from './requests.ts';

interface Observed {
  /** Where in the second half of the linger it is closed, 0 to 1. */
  readonly luck: number;
  readonly since: number;
  isAnnounced: boolean;
}

export class Http2Drain {
  readonly #observed = new WeakMap<Connection, Observed>();

  /** Takes the session one step further, if the time has come. */
  step(connection: Connection, plan: Plan, now: number): void {
    const { session, socket } = connection;
    if (session === null || session.closed || session.destroyed) return;
    const seen = this.#observe(connection, now);
    const linger = plan.lingerUntil - plan.startedAt;
    if (!seen.isAnnounced && linger > 0) {
      // The server's settings must be the first thing a client hears.
      if (session.connecting || session.pendingSettingsAck) return;
      seen.isAnnounced = true;
      announceGoaway(socket);
      return;
    }
    const closeAt = plan.startedAt + linger * (0.5 + seen.luck / 2);
    if (now >= Math.max(closeAt, seen.since + plan.minIdle)) session.close();
  }

  #observe(connection: Connection, now: number): Observed {
    const known = this.#observed.get(connection);
    if (known !== undefined) return known;
    const seen = { luck: Math.random(), since: now, isAnnounced: false };
    this.#observed.set(connection, seen);
    return seen;
  }
}
