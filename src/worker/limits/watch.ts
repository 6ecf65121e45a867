/**
 * Looks at the requests in flight now and then: reports those that take long, and answers those that take too long. One timer
 * for all of them, and of a request that is quick nothing is remembered.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { SlowRequest } from '../../protocol/messages.ts';
import { maxUrl } from '../../protocol/requests.ts';
import { currentResponse } from '../../system/node-internals.ts';
import type { Channel } from '../channel.ts';
import { marked } from '../evidence.ts';
import { Routes } from '../metrics/routes.ts';
import type { Connection, StreamInFlight } from '../traffic/connection.ts';
import { idsIn, urlOf } from '../traffic/in-flight.ts';
import type { Observer } from '../traffic/observer.ts';
import type { Traffic } from '../traffic/traffic.ts';
import type { LimitCounts } from './counts.ts';
import { isEventStreamResponse, isHttp2EventStream } from './event-stream.ts';
import { Expiry } from './expire.ts';
import { SlowReports } from './slow-reports.ts';

/** Milliseconds between two looks: a part of the limit, and not less or more than these. */
const part = 0.25;
const least = 100;
const longest = 1_000;

export interface WatchOptions {
  /** Milliseconds; 0 is off. Of both one is not. */
  readonly slowRequest: number;
  readonly requestTimeout: number;
}

/** What is known of a request that is slow. */
interface Slow {
  readonly about: Omit<SlowRequest, 'age' | 'state' | 'status'>;
  /** Whether the master was told. */
  readonly isTold: boolean;
  /** When it began, and when it was last seen to be in flight, of `performance.now()`. */
  readonly since: number;
  seenAt: number;
}

type Subject = ServerResponse | ServerHttp2Stream;

export class RequestWatch implements Observer {
  readonly #traffic: Traffic;
  readonly #counts: LimitCounts;
  readonly #slowAfter: number;
  readonly #tooLongAfter: number;
  readonly #reports: SlowReports;
  readonly #expiry: Expiry | null;
  readonly #routes = new Routes();
  readonly #slow = new Map<Subject, Slow>();
  /** Requests that were answered with 504, and whose answers are on their way. */
  readonly #expired = new WeakSet<Subject>();

  constructor(channel: Channel, traffic: Traffic, counts: LimitCounts, { slowRequest, requestTimeout }: WatchOptions) {
    this.#traffic = traffic;
    this.#counts = counts;
    this.#slowAfter = slowRequest > 0 ? slowRequest : Number.POSITIVE_INFINITY;
    this.#tooLongAfter = requestTimeout > 0 ? requestTimeout : Number.POSITIVE_INFINITY;
    this.#reports = new SlowReports(channel);
    this.#expiry = requestTimeout > 0 ? new Expiry() : null;
    traffic.subscribe(this);
    if (this.#expiry !== null) traffic.subscribe(this.#expiry);
    const every = Math.min(this.#slowAfter, this.#tooLongAfter) * part;
    // After the poll phase: what came while the event loop was late is known by then, answers of a database included.
    const look = marked(() => this.#look());
    setInterval(() => setImmediate(look), Math.min(longest, Math.max(least, every))).unref();
  }

  onFinished(request: IncomingMessage, response: ServerResponse, _: Connection, milliseconds: number): void {
    if (milliseconds < this.#slowAfter && this.#slow.size === 0) return;
    if (this.#expired.has(response)) return;
    this.#ended(response, milliseconds, isEventStreamResponse(response), response.statusCode, () =>
      aboutRequest(request, this.#routes),
    );
  }

  onStreamClosed(stream: ServerHttp2Stream, about: StreamInFlight): void {
    const milliseconds = performance.now() - about.since;
    if (milliseconds < this.#slowAfter && this.#slow.size === 0) return;
    if (this.#expired.has(stream)) return;
    const status = Number(stream.sentHeaders?.[':status'] ?? 0);
    const isComplete = stream.writableFinished && stream.headersSent;
    this.#ended(stream, milliseconds, isHttp2EventStream(stream), isComplete ? status : null, () =>
      aboutStream(about, this.#routes),
    );
  }

  onAborted(response: ServerResponse | null, _: Connection, milliseconds: number): void {
    if (response === null || (milliseconds < this.#slowAfter && this.#slow.size === 0)) return;
    if (this.#expired.has(response)) return;
    this.#ended(response, milliseconds, isEventStreamResponse(response), null, () =>
      aboutRequest(response.req, this.#routes),
    );
  }

  /** @param status `null` if its client has left */
  #ended(
    subject: Subject,
    age: number,
    isEventStream: boolean,
    status: number | null,
    about: () => Slow['about'],
  ): void {
    const known = this.#slow.get(subject);
    this.#slow.delete(subject);
    const state = status === null ? 'left' : 'answered';
    if (known !== undefined) {
      if (known.isTold) this.#reports.end({ ...known.about, age, state, status });
    } else if (age >= this.#slowAfter && !isEventStream) {
      // It has blocked the event loop, or has ended between two looks.
      this.#counts.add('slow');
      this.#reports.begin({ ...about(), age, state, status });
    }
  }

  #look(): void {
    const now = performance.now();
    const { connections, inFlight } = this.#traffic;
    for (const connection of connections.open) {
      const response = currentResponse(connection.socket);
      if (response !== null) this.#lookAt(response, connection, inFlight.startOf(response, connection), now);
      for (const [stream, about] of connection.streams ?? []) this.#lookAtStream(stream, about, now);
    }
    for (const [subject, { since, seenAt }] of this.#slow) {
      // The app has taken its connection over: there is no end that could be seen.
      if (seenAt < now) this.#ended(subject, now - since, false, null, noAbout);
    }
    this.#reports.flush();
  }

  #lookAt(response: ServerResponse, connection: Connection, since: number, now: number): void {
    const age = now - since;
    if (age < this.#slowAfter && age < this.#tooLongAfter) return;
    if (age >= this.#tooLongAfter && this.#expiry !== null) {
      if (this.#expired.has(response)) return;
      // What is said of it is found out before it is taken from the app.
      const about = aboutRequest(response.req, this.#routes);
      if (this.#expiry.answer(response, connection)) {
        this.#timedOut(response, about, age);
        return;
      }
    }
    if (age < this.#slowAfter || this.#isKnown(response, now)) return;
    // The app is done with it.
    if (response.writableEnded || isEventStreamResponse(response)) return;
    this.#becameSlow(response, aboutRequest(response.req, this.#routes), since, now);
  }

  #lookAtStream(stream: ServerHttp2Stream, about: StreamInFlight, now: number): void {
    const age = now - about.since;
    if (age < this.#slowAfter && age < this.#tooLongAfter) return;
    if (age >= this.#tooLongAfter && this.#expiry !== null) {
      if (this.#expired.has(stream)) return;
      if (this.#expiry.answerStream(stream, about)) {
        this.#timedOut(stream, aboutStream(about, this.#routes), age);
        return;
      }
    }
    if (age < this.#slowAfter || this.#isKnown(stream, now)) return;
    // Of HEAD Node ends it at its beginning.
    const isDone = stream.writableEnded && about.method !== 'HEAD';
    if (isDone || isHttp2EventStream(stream)) return;
    this.#becameSlow(stream, aboutStream(about, this.#routes), about.since, now);
  }

  /** Whether it was reported, or counted among those that were not. */
  #isKnown(subject: Subject, now: number): boolean {
    const known = this.#slow.get(subject);
    if (known !== undefined) known.seenAt = now;
    return known !== undefined;
  }

  #becameSlow(subject: Subject, about: Slow['about'], since: number, now: number): void {
    this.#counts.add('slow');
    const isTold = this.#reports.begin({ ...about, age: now - since, state: 'running', status: null });
    this.#slow.set(subject, { about, isTold, since, seenAt: now });
  }

  #timedOut(subject: Subject, about: Slow['about'], age: number): void {
    this.#expired.add(subject);
    this.#counts.add('timed_out');
    const known = this.#slow.get(subject);
    this.#slow.delete(subject);
    const report: SlowRequest = { ...about, age, state: 'timed-out', status: 504 };
    if (known === undefined) this.#reports.begin(report);
    else if (known.isTold) this.#reports.end(report);
  }
}

/** What was described is not described again. */
function noAbout(): Slow['about'] {
  return { method: '', url: '', route: null, id: null, trace: null };
}

function aboutRequest(request: IncomingMessage, routes: Routes): Slow['about'] {
  const { method = '', headers } = request;
  return describe(method, urlOf(request), routes.of(request), headers);
}

function aboutStream({ method, url, headers, request }: StreamInFlight, routes: Routes): Slow['about'] {
  return describe(method, url, request === null ? null : routes.of(request), headers);
}

function describe(
  method: string,
  url: string,
  route: string | null,
  headers: Readonly<Record<string, unknown>>,
): Slow['about'] {
  return { method, url: url.slice(0, maxUrl), route, ...idsIn(headers) };
}
