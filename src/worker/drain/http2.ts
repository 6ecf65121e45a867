/**
 * HTTP/2 sessions in a drain: each is told to connect anew, and the streams in flight end. No stream is to be refused that
 * crosses what the client is told, so it is told in two steps (RFC 9113, 6.8): a GOAWAY that names the highest stream
 * there can be, and a round trip later, when all that crossed it has arrived, another one that names the last stream.
 *
 * Node has no call for the first step, and after a GOAWAY of its own it ignores what arrives. In clear text the frame can
 * be written beside Node's; over TLS it cannot, and there is one step, with the client's next answer (`http2-held.ts`) or,
 * if the client does not come back, at the end of the linger. Some clients, Node's own among them, refuse by
 * themselves what they have begun and not yet written when they are told. So they are told at the moment at which that is
 * least likely: when the client has been silent for a while, or when all that it could send has been sent.
 */
import type { Http2Session } from 'node:http2';
import { setReading, writeAtOnce } from '../../system/node-internals.ts';
import { bytesWritten, type Connection } from '../traffic/connection.ts';
import { HeldStreams } from './http2-held.ts';
import type { Plan } from './plan.ts';

/** Milliseconds without a stream after which the client is unlikely to open one at this moment. */
const silence = 100;
/** Milliseconds over which clients of TLS are told that are busy all the time. */
const rush = 2_000;
/** Milliseconds a client is given to close its side after the session has ended. */
const parting = 500;
/** Milliseconds in which a client that waits for nothing but answers has sent what it would send next. */
const gathering = 20;
/** Milliseconds, and share of the linger, after which a client that has not answered is not expected to. */
const patience = 500;
const patienceShare = 0.25;
/** Bytes written since a round trip that fit into the buffer of any socket, with a frame more. */
const surelyFits = 4_096;
/** GOAWAY, no error, of stream 2^31 - 1. */
const notice = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** How far the client has been told. */
type Stage = 'untold' | 'asking' | 'noticed' | 'known' | 'ending';

interface Observed {
  /** When in the first half of the linger it may end, 0 to 1: not all clients are to connect anew at once. */
  readonly luck: number;
  stage: Stage;
  /** When it was asked for an answer last. */
  askedAt: number;
  /** When it last had an open stream. */
  activeAt: number;
  /** Its next streams are held until it is told. */
  isHeld: boolean;
  endedAt: number | null;
}

export class Http2Drain {
  readonly #observed = new WeakMap<Connection, Observed>();

  /** Tells the client that the session is about to end; its streams are served as before. */
  announce(connection: Connection): void {
    const { session } = connection;
    const seen = this.#observe(connection);
    if (session === null || session.closed || seen.stage !== 'untold') return;
    if (connection.socket === connection.raw) this.#giveNotice(connection, session, seen);
    else this.#hold(connection, session, seen, 0);
  }

  /** The client is told ahead of the answers to its next streams. Over TLS they are its last ones here. */
  #hold(connection: Connection, session: Http2Session, seen: Observed, dueAt: number): void {
    if (seen.isHeld) return;
    seen.isHeld = true;
    const { raw, socket } = connection;
    const isDue = (): boolean => seen.stage === 'untold' && performance.now() >= dueAt;
    const common = { session, isDue, open: () => connection.streams?.size ?? 0, written: () => bytesWritten(raw) };
    if (socket !== raw) {
      new HeldStreams({ ...common, begin: () => {}, isReady: () => true, tell: () => session.close() });
      return;
    }
    let before = 0;
    let hasAnswered = false;
    const begin = (): void => {
      hasAnswered = false;
      before = this.#ask(connection, session, seen, () => {
        hasAnswered = true;
      });
    };
    const tell = (): void => {
      if (hasAnswered) this.#writeNotice(connection, session, seen, before);
    };
    new HeldStreams({ ...common, begin, isReady: () => hasAnswered, tell });
  }

  /** Takes the session one step further, if the time has come. Must be called right after a poll phase. */
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
    const isAwaited = plan.awaitedSince !== null;
    const isSilent = now >= seen.activeAt + Math.min(silence, linger);
    const canNotice = connection.socket === raw;
    // If nobody waits, a client that comes back is told then, and any other one late.
    const share = canNotice && isAwaited ? seen.luck / 2 : 1 - seen.luck / 2;
    const isDue = now >= plan.startedAt + linger * share;
    if (!canNotice || !isAwaited) {
      const dueAt = plan.startedAt + (Math.min(linger, rush) * seen.luck) / 2;
      this.#hold(connection, session, seen, dueAt);
    }
    if (now >= plan.lingerUntil || (seen.stage === 'known' && (isDue || !isAwaited))) session.close();
    else if (isDue && !canNotice && seen.stage === 'untold') {
      seen.stage = 'ending';
      gather(connection, session, { read: () => session.close() });
    } else if (isDue && canNotice && seen.stage === 'untold') this.#giveNotice(connection, session, seen);
    else if (isDue && canNotice && isSilent && isUnanswered(seen, linger, now)) session.close();
  }

  #giveNotice(connection: Connection, session: Http2Session, seen: Observed): void {
    const before = this.#ask(connection, session, seen, () =>
      gather(connection, session, { unread: () => this.#writeNotice(connection, session, seen, before) }),
    );
  }

  /**
   * A frame that did not leave at once would end the process: so there must be room, which a round trip shows.
   *
   * @returns the bytes written by now
   */
  #ask({ raw }: Connection, session: Http2Session, seen: Observed, onAnswer: () => void): number {
    seen.stage = 'asking';
    seen.askedAt = performance.now();
    if (!roundTrip(session, onAnswer)) seen.stage = 'untold';
    return bytesWritten(raw);
  }

  /** @param before bytes written when the client was asked */
  #writeNotice({ raw }: Connection, session: Http2Session, seen: Observed, before: number): void {
    seen.stage = 'untold';
    if (bytesWritten(raw) - before > surelyFits || !writeAtOnce(raw, notice)) return;
    seen.stage = 'noticed';
    roundTrip(session, () => {
      seen.stage = 'known';
    });
  }

  #observe(connection: Connection): Observed {
    const known = this.#observed.get(connection);
    if (known !== undefined) return known;
    const seen: Observed = {
      luck: Math.random(),
      stage: 'untold',
      askedAt: 0,
      activeAt: 0,
      isHeld: false,
      endedAt: null,
    };
    this.#observed.set(connection, seen);
    return seen;
  }
}

/** Whether the client has not answered in time, so that there will be no first step. */
function isUnanswered({ stage, askedAt }: Observed, linger: number, now: number): boolean {
  return stage === 'asking' && now >= askedAt + Math.max(patience, linger * patienceShare);
}

/** @returns whether the client is asked for an answer, after which all that it had sent before has arrived */
function roundTrip(session: Http2Session, onAnswer: () => void): boolean {
  if (session.destroyed) return false;
  return session.ping((error) => {
    if (error === null && !session.destroyed) onAnswer();
  });
}

/** What is done when a client waits for answers. */
interface Gathered {
  /** Its streams wait to be read. */
  readonly unread?: () => void;
  /** They have been read. */
  readonly read?: () => void;
}

/**
 * Lets what the client sends wait in the kernel for a moment. A client that begins a stream when another one has ended
 * waits for answers then, and begins none. That there are no answers on their way matters as well: Node's client begins
 * its next stream at an answer, and refuses it if what it reads together with the answer is a GOAWAY.
 */
function gather({ socket }: Connection, session: Http2Session, { unread, read }: Gathered): void {
  const until = performance.now() + gathering;
  const hold = (): void => {
    if (session.closed || session.destroyed) return;
    if (performance.now() < until) {
      // Node begins to read again by itself after each answer.
      setReading(socket, false);
      setTimeout(hold, 1);
      return;
    }
    unread?.();
    setReading(socket, true);
    // After the next poll phase.
    setImmediate(() => {
      if (!session.closed && !session.destroyed) read?.();
    });
  };
  hold();
}
