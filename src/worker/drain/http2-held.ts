/**
 * The last streams of an HTTP/2 session. Over TLS the first of the two steps in which a client is told (see `http2.ts`)
 * cannot be sent, so what a client begins while the GOAWAY is under way is refused; and some clients, Node's among them,
 * refuse by themselves what they have begun and not yet sent. But a client that waits for an answer begins nothing: so
 * streams that arrive are held for a moment, the client is told, and only then does the app get them. What the client
 * reads first is the GOAWAY and then the answer, and what it begins next, it begins on another connection.
 */
import type { Http2Session, ServerHttp2Stream } from 'node:http2';

/** Milliseconds in which streams that a client begins together have arrived. */
const together = 20;
/** Added to the time of a round trip: timers and busy event loops are late. */
const slack = 20;
/** Milliseconds of a round trip, if the client has not answered yet. */
const unknownTrip = 100;
/** Milliseconds for which a stream is held at most. */
const most = 400;
/** Milliseconds between two looks at what is written. */
const lookEvery = 5;

export interface HeldParts {
  readonly session: Http2Session;
  /** Whether the time has come to end the session. */
  readonly isDue: () => boolean;
  /** Open streams that the app has. */
  readonly open: () => number;
  /** Bytes written to the client so far. */
  readonly written: () => number;
  /** The first stream is held. */
  readonly begin: () => void;
  /** Whether the client can be told. */
  readonly isReady: () => boolean;
  /** Tells the client, if it still can be. */
  readonly tell: () => void;
}

export class HeldStreams {
  readonly #parts: HeldParts;
  readonly #emit: Http2Session['emit'];
  /** What is to be emitted once the client is told. */
  #held: unknown[][] = [];
  #heldSince = 0;
  #roundTrip = unknownTrip;
  /** When the newest stream began. */
  #beganAt = Number.NEGATIVE_INFINITY;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #written = 0;

  constructor(parts: HeldParts) {
    const { session } = parts;
    this.#parts = parts;
    this.#emit = session.emit;
    session.ping((error, duration) => {
      if (error === null) this.#roundTrip = duration;
    });
    // Node emits a stream on its session first.
    session.emit = ((name: string | symbol, ...args: unknown[]): boolean =>
      name === 'stream' && this.#take(args)
        ? true
        : Reflect.apply(this.#emit, session, [name, ...args])) as Http2Session['emit'];
  }

  /** @returns whether the stream is held */
  #take(args: unknown[]): boolean {
    const { session, isDue } = this.#parts;
    if (session.closed || session.destroyed) return false;
    const now = performance.now();
    const isAlone = this.#parts.open() === 0 && now - this.#beganAt > 1.5 * this.#roundTrip;
    this.#beganAt = now;
    if (this.#held.length === 0) {
      if (!isDue()) return false;
      this.#heldSince = now;
      this.#written = this.#parts.written();
      // Answers that have just left may each bring a further stream.
      this.#writtenAt = isAlone ? Number.NEGATIVE_INFINITY : now;
      setTimeout(() => this.#look(), lookEvery);
      this.#parts.begin();
    } else if (this.#writtenAt < this.#heldSince) {
      // It was not alone after all.
      this.#writtenAt = this.#heldSince;
    }
    this.#held.push(args);
    return true;
  }

  /** Waits until all that the client could send without a further answer has arrived. */
  #look(): void {
    const { session, written, isReady } = this.#parts;
    const now = performance.now();
    if (written() !== this.#written) {
      this.#written = written();
      this.#writtenAt = now;
    }
    const until = Math.max(this.#heldSince + together, this.#writtenAt + this.#roundTrip + slack);
    const isEarly = now < until || !isReady();
    if (!session.destroyed && isEarly && now < this.#heldSince + most) {
      setTimeout(() => this.#look(), lookEvery);
      return;
    }
    // After a poll phase: what has arrived by now has been read.
    setImmediate(() => this.#release());
  }

  #release(): void {
    const { session, tell } = this.#parts;
    const held = this.#held;
    this.#held = [];
    if (!session.closed && !session.destroyed) tell();
    for (const args of held) {
      const [stream] = args as [ServerHttp2Stream];
      if (!stream.destroyed) Reflect.apply(this.#emit, session, ['stream', ...args]);
    }
  }
}
