/**
 * Lets every connection go without an error: stops to accept, finishes what is in flight, and closes nothing that a
 * client may be about to use. Ends at its deadline at the latest.
 */
import { registry } from '../../app/registry.ts';
import { currentResponse, hasHttpParser, isReceiving } from '../../system/node-internals.ts';
import type { Channel } from '../channel.ts';
import type { Queue } from '../listen.ts';
import type { Migration } from '../migration/migration.ts';
import type { Connection } from '../traffic/connection.ts';
import type { RequestInFlight } from '../traffic/in-flight.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { Accepting } from './accepting.ts';
import { callHook } from './app-hook.ts';
import { EventStreams, endEventStreams } from './event-streams.ts';
import { Http1Drain } from './http1.ts';
import { Http2Drain } from './http2.ts';
import { LastCall } from './last-call.ts';
import { type DrainOrder, goodbyeAt, keptUntil, type Plan, planFor, shortened } from './plan.ts';
import { cut, Goodbyes, isHandshaking } from './upgraded.ts';

/** Milliseconds between two looks at all connections. */
const step = 25;
const progressEvery = 1_000;
/** At most this long connections are accepted that were there before the drain. */
const acceptTime = 200;
/** The same of the last worker that accepts, and how long it waits to be the last. */
const lastAcceptTime = 1_500;
const aloneTime = 2_000;
/** The share of a short drain that each of them may take. */
const acceptShare = 0.25;
/** Requests that are listed in a report, and characters of their URLs. */
const maxRequests = 20;

export interface DrainParts {
  readonly channel: Channel;
  readonly traffic: Traffic;
  readonly migration: Migration;
  /** The kernel queues that this process accepts from. */
  readonly queues: () => readonly Queue[];
  readonly onDrained: (deadline: number) => void;
}

export class Drain {
  readonly #channel: Channel;
  readonly #traffic: Traffic;
  readonly #migration: Migration;
  readonly #onDrained: (deadline: number) => void;
  readonly #lastCall: LastCall;
  /** The only listeners that this worker is the last to accept from; `null` if it is so of all. */
  #dropped: ReadonlySet<string> | null = null;
  #isAnnounced = false;
  /** Whether this worker goes on accepting for the time being: it is the last one. */
  #accepts = false;
  #isAlone = false;
  #onAlone: () => void = () => {};
  readonly #http1 = new Http1Drain();
  readonly #http2 = new Http2Drain();
  readonly #goodbyes = new Goodbyes();
  readonly #eventStreams = new EventStreams();
  readonly #accepting: Accepting;
  #plan: Plan | null = null;
  #saidGoodbye = false;
  #isOver = false;
  #progressAt = 0;

  constructor({ channel, traffic, migration, queues, onDrained }: DrainParts) {
    this.#channel = channel;
    this.#migration = migration;
    this.#traffic = traffic;
    this.#accepting = new Accepting(traffic);
    const isLastOf = ({ listener }: Queue): boolean => this.#dropped === null || this.#dropped.has(listener);
    this.#lastCall = new LastCall(traffic, () => queues().filter(isLastOf));
    this.#onDrained = onDrained;
  }

  get hasBegun(): boolean {
    return this.#plan !== null;
  }

  /** Begins to drain, or shortens the drain that is under way. */
  order(order: DrainOrder): void {
    const next = planFor(order, performance.now());
    if (this.#plan !== null) {
      this.#plan = shortened(this.#plan, next);
      return;
    }
    this.#plan = next;
    this.#begin(order);
  }

  /** The service is about to stop: clients are told to connect anew, and are still accepted. */
  announce(): void {
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    this.#traffic.subscribe({
      onRequest: (connection, response) => {
        if (!this.#migration.goes(connection)) this.#http1.makeLast(connection, response);
      },
    });
    for (const connection of this.#traffic.connections.open) {
      if (connection.session === null) {
        if (currentResponse(connection.socket) !== null && !this.#migration.goes(connection, true))
          this.#http1.makeCurrentLast(connection);
      }
      // In a drain each has its own moment.
      else if (this.#plan === null) this.#http2.announce(connection);
    }
  }

  /** No other process accepts any more: the queues are emptied and closed. */
  alone(): void {
    this.#isAlone = true;
    this.#onAlone();
  }

  #begin({ within, last, dropped }: DrainOrder): void {
    this.#progressAt = performance.now() + progressEvery;
    this.#traffic.subscribe({ onClosed: () => setImmediate(() => this.#endIfEmpty()) });
    this.announce();
    for (const run of registry().drains) void callHook(run);
    this.#accepting.mendClose(() => this.#isOver);
    if (!last && dropped.length > 0) this.#dropped = new Set(dropped);
    if (last || dropped.length > 0) void this.#acceptLast(within * acceptShare).then(() => this.#endIfEmpty());
    const acceptUntil = performance.now() + Math.min(acceptTime, within * acceptShare);
    void this.#accepting.emptyQueue(acceptUntil).then(() => this.#sweep());
  }

  /** @param most milliseconds to wait until this process is alone, and the same again to close */
  async #acceptLast(most: number): Promise<void> {
    this.#accepts = true;
    await new Promise<void>((resolve) => {
      this.#onAlone = resolve;
      if (this.#isAlone) resolve();
      setTimeout(resolve, Math.min(aloneTime, most)).unref();
    });
    const close = (): void => {
      this.#accepts = false;
      this.#accepting.stop();
    };
    await this.#lastCall.run(close, performance.now() + Math.min(lastAcceptTime, most));
  }

  /** Looks at every connection, right after a poll phase: all that had arrived by then has been read. */
  #sweep(): void {
    const plan = this.#plan;
    if (plan === null || this.#isOver) return;
    const now = performance.now();
    this.#traffic.connections.sweep();
    const { open } = this.#traffic.connections;
    // In every sweep: an app may listen at any time.
    if (!this.#accepts) this.#accepting.stop();
    this.#migration.giveIdle();
    this.#http1.look();
    for (const connection of open) {
      if (connection.session !== null) this.#http2.step(connection, plan, now);
      else if (now >= keptUntil(plan) || !this.#migration.isLeaving(connection)) this.#step(connection, plan, now);
      this.#eventStreams.step(connection, plan, now);
    }
    if (!this.#saidGoodbye && now >= goodbyeAt(plan)) {
      this.#saidGoodbye = true;
      for (const connection of open) endEventStreams(connection);
    }
    if (now >= plan.deadline) this.#cut();
    else {
      this.#endIfEmpty();
      if (now >= this.#progressAt) this.#report(now);
      setTimeout(() => setImmediate(() => this.#sweep()), Math.min(step, plan.deadline - now));
    }
  }

  /** Of a connection that is neither HTTP/2 nor about to go to another worker. */
  #step(connection: Connection, plan: Plan, now: number): void {
    if (this.#isHttp1(connection)) this.#http1.step(connection, plan, now);
    else this.#goodbyes.step(connection, plan, now);
  }

  /** Whether it speaks HTTP/1, or may be about to. */
  #isHttp1(connection: Connection): boolean {
    const { connections } = this.#traffic;
    return hasHttpParser(connection.socket) || isHandshaking(connection) || connections.isUndecided(connection);
  }

  #report(now: number): void {
    this.#progressAt = now + progressEvery;
    // Nothing piles up behind a master that does not read.
    if (this.#channel.backlog > 0) return;
    const { connections, inFlight } = this.#traffic;
    this.#channel.send({
      type: 'draining',
      requests: inFlight.oldest(maxRequests),
      inFlight: inFlight.count(),
      connections: connections.open.size,
      upgraded: [...connections.open].filter(isLongLived).length,
    });
  }

  #cut(): void {
    const cutRequests = this.#traffic.inFlight.count();
    const requests = this.#traffic.inFlight.oldest(maxRequests);
    const cutConnections = [...this.#traffic.connections.open].filter((connection) => cut(connection) === 0).length;
    this.#end(cutRequests, cutConnections, requests);
  }

  #endIfEmpty(): void {
    // Background work that the app has registered counts like a request.
    if (this.#traffic.connections.open.size > 0 || registry().pending.size > 0) return;
    if (this.#accepting.isOver) this.#end(0, 0);
  }

  #end(cutRequests: number, cutConnections: number, requests: readonly RequestInFlight[] = []): void {
    if (this.#isOver || this.#plan === null) return;
    this.#isOver = true;
    this.#migration.finish();
    const named = requests.length > 0 ? { requests } : {};
    this.#channel.send({ type: 'drained', cutRequests, cutConnections, ...named });
    this.#onDrained(this.#plan.deadline);
  }
}

/** Neither HTTP/1 nor HTTP/2: only its own peers know when it is done. */
function isLongLived(connection: Connection): boolean {
  return connection.session === null && !hasHttpParser(connection.socket) && !isReceiving(connection.socket);
}
