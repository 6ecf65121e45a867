/**
 * Turns requests away that are too many: more in flight than the worker is to work on, or an event loop that is too late.
 * A request that is turned away costs next to nothing, so that those which were let in are served in time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LimitName } from '../../protocol/traffic.ts';
import type { Connection } from '../traffic/connection.ts';
import { hidden } from '../traffic/hidden.ts';
import type { Admission, Refusal } from '../traffic/intercept.ts';
import type { Observer } from '../traffic/observer.ts';
import type { Traffic } from '../traffic/traffic.ts';
import type { LimitCounts } from './counts.ts';
import { isEventStream, isHttp2EventStream } from './event-stream.ts';
import { Lateness } from './lateness.ts';

const overloaded: Refusal = { body: 'The service is overloaded.\n' };

/** Milliseconds without a refusal, and the share of `maxInFlight`, at which the worker is itself again. */
const calmAfter = 1_000;
const calmShare = 0.8;
/** Counting the event streams, which are in nobody's way, takes one part in so many of a full worker's time at most. */
const countShare = 20;

export interface AdmissionOptions {
  /** 0 is without a limit. */
  readonly maxInFlight: number;
  /** Milliseconds; 0 is without a limit. */
  readonly maxLoopDelay: number;
}

/** Requests in flight of one connection. */
interface Share {
  count: number;
  isOpen: boolean;
}

export class Overload implements Admission {
  readonly #traffic: Traffic;
  readonly #counts: LimitCounts;
  readonly #maxInFlight: number;
  readonly #maxLoopDelay: number;
  readonly #lateness: Lateness | null;
  readonly #now: () => number;
  /** Of HTTP/1 by connection, and of each response that is counted its connection's. */
  readonly #shares = hidden<Share>();
  readonly #counted = hidden<Share | null>();
  #inFlight = 0;
  #eventStreams = 0;
  /** When they may be counted again. */
  #countAt = Number.NEGATIVE_INFINITY;
  #isOverloaded = false;
  #refusedAt = 0;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(
    traffic: Traffic,
    counts: LimitCounts,
    { maxInFlight, maxLoopDelay }: AdmissionOptions,
    now: () => number = () => performance.now(),
  ) {
    this.#traffic = traffic;
    this.#counts = counts;
    this.#maxInFlight = maxInFlight;
    this.#maxLoopDelay = maxLoopDelay;
    this.#now = now;
    this.#lateness = maxLoopDelay > 0 ? new Lateness(now) : null;
    traffic.guard(this);
    if (maxInFlight > 0) traffic.subscribe(this.#ends());
  }

  /** The worker serves: what made its event loop late before that was its start. */
  start(): void {
    this.#lateness?.start();
  }

  /** Whether requests are turned away, or were a moment ago. */
  get isOverloaded(): boolean {
    if (this.#isLate()) return true;
    if (!this.#isOverloaded) return false;
    const isCalm = this.#maxInFlight === 0 || this.#working() <= this.#maxInFlight * calmShare;
    if (isCalm && this.#now() - this.#refusedAt >= calmAfter) this.#isOverloaded = false;
    return this.#isOverloaded;
  }

  admit(request: IncomingMessage, response: ServerResponse): Refusal | null {
    // An app may emit a request again, at this server or at another: it has been let in.
    if (response.headersSent || this.#counted.of(response) !== null) return null;
    const refusal = this.admitOther();
    if (refusal === null && this.#maxInFlight > 0) this.#begin(request, response);
    return refusal;
  }

  admitOther(): Refusal | null {
    const cause = this.#cause();
    if (cause === null) return null;
    this.#counts.add(cause);
    this.#isOverloaded = true;
    this.#refusedAt = this.#now();
    return overloaded;
  }

  #cause(): LimitName | null {
    if (this.#isLate()) return 'loop_delay';
    return this.#maxInFlight > 0 && this.#isFull() ? 'in_flight' : null;
  }

  #isLate(): boolean {
    return this.#lateness !== null && this.#lateness.get() > this.#maxLoopDelay;
  }

  #isFull(): boolean {
    return this.#inFlight >= this.#maxInFlight && this.#working() >= this.#maxInFlight;
  }

  /** Requests in flight that are worked on: an event stream waits for something to happen, maybe for ever. */
  #working(): number {
    const now = this.#now();
    if (now >= this.#countAt) {
      this.#eventStreams = this.#countEventStreams();
      const end = this.#now();
      this.#countAt = end + (end - now) * countShare;
    }
    return this.#inFlight - this.#eventStreams;
  }

  #countEventStreams(): number {
    let count = 0;
    for (const { socket, streams } of this.#traffic.connections.open) {
      if (isEventStream(socket)) count += 1;
      for (const stream of streams?.keys() ?? []) if (isHttp2EventStream(stream)) count += 1;
    }
    return count;
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#traffic.connections.of(request.socket);
    if (connection === null) return;
    let share = this.#shares.of(connection);
    if (share === null) {
      share = { count: 0, isOpen: true };
      this.#shares.put(connection, share);
    }
    this.#counted.put(response, share);
    share.count += 1;
    this.#inFlight += 1;
  }

  #ends(): Observer {
    return {
      onFinished: (_, response) => {
        const share = this.#counted.of(response);
        if (share === null) return;
        this.#counted.put(response, null);
        if (!share.isOpen) return;
        share.count -= 1;
        this.#inFlight -= 1;
      },
      onClosed: (connection: Connection) => {
        const share = this.#shares.of(connection);
        if (share === null || !share.isOpen) return;
        share.isOpen = false;
        this.#inFlight -= share.count;
      },
      onStreamBegun: () => {
        this.#inFlight += 1;
      },
      onStreamClosed: () => {
        this.#inFlight -= 1;
      },
    };
  }
}
