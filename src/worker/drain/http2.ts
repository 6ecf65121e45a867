/**
 * HTTP/2 sessions in a drain. Each gets a GOAWAY that names the last stream that is served; the streams in flight end.
 *
 * A stream that crosses the GOAWAY on the wire is not lost to a client that keeps to the protocol, which opens it anew
 * elsewhere; but not all do. Two GOAWAYs, the first with the highest stream id there can be, would spare them that (RFC
 * 9113, 6.8). Node cannot: after any GOAWAY it ignores what still arrives. So the session ends at the moment at which a
 * crossing is least likely, when it has been silent for a while.
 */

import type { Connection } from '../traffic/connection.ts';
import type { Plan } from './plan.ts';

/** Milliseconds without a stream after which the client is unlikely to open one at this moment. */
const silence = 100;
/** Milliseconds a client is given to close its side after the session has ended. */
const parting = 500;

interface Observed {
  /** When in the first half of the linger it may end, 0 to 1: not all clients are to connect anew at once. */
  readonly luck: number;
  /** When it last had an open stream. */
  activeAt: number;
  endedAt: number | null;
}

export class Http2Drain {
  readonly #observed = new WeakMap<Connection, Observed>();

  /** Takes the session one step further, if the time has come. */
  step(connection: Connection, plan: Plan, now: number): void {
    const { session, streams, raw, requestAt } = connection;
    if (session === null) return;
    const seen = this.#observe(connection);
    if (session.destroyed) {
      seen.endedAt ??= now;
      if (now >= seen.endedAt + parting) raw.destroy();
      return;
    }
    if (session.closed) return;
    seen.activeAt = streams !== null && streams.size > 0 ? now : Math.max(seen.activeAt, requestAt);
    const linger = plan.lingerUntil - plan.startedAt;
    const isSilent = now >= seen.activeAt + Math.min(silence, linger);
    if (now >= plan.lingerUntil || (isSilent && now >= plan.startedAt + (linger * seen.luck) / 2)) session.close();
  }

  #observe(connection: Connection): Observed {
    const known = this.#observed.get(connection);
    if (known !== undefined) return known;
    const seen = { luck: Math.random(), activeAt: 0, endedAt: null };
    this.#observed.set(connection, seen);
    return seen;
  }
}
