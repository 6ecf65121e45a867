/**
 * Lets every connection go without an error: stops to accept, finishes what is in flight, and closes nothing that a
 * client may be about to use. Ends at its deadline at the latest.
 */
import net, { type Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import { registry } from '../../app/registry.ts';
import { hasHttpParser, isReceiving } from '../../system/node-internals.ts';
import type { Channel } from '../channel.ts';
import type { Connection, Traffic } from '../traffic/traffic.ts';
import { Http1Drain } from './http1.ts';
import { Http2Drain } from './http2.ts';
import { cut, isHandshaking, sayGoodbye } from './upgraded.ts';

export interface DrainOrder {
  /** Milliseconds until everything must be over. */
  readonly within: number;
  /** Milliseconds that idle connections are left open, so that their next request is still served. */
  readonly linger: number;
  /** Close idle connections at once. */
  readonly quick: boolean;
}

/** The drain's times, of `performance.now()`. */
export interface Plan {
  readonly startedAt: number;
  readonly deadline: number;
  /** When the last idle connection is closed. */
  readonly lingerUntil: number;
  /** What a connection that has just become idle is given. */
  readonly minIdle: number;
  /** What a request that has just begun to arrive is given. */
  readonly headTime: number;
}

/** Milliseconds between two looks at all connections. */
const step = 25;
const progressEvery = 1_000;
/** At most this long connections are accepted that were there before the drain. */
const acceptTime = 200;
/** Connections idle for less than this are likely to be used again at once. */
const minIdle = 250;
const headTime = { normal: 3_000, quick: 250 };
/** How long before the deadline those who would stay for ever are told. */
const goodbyeTime = 1_000;
const goodbyeShare = 0.2;

export class Drain {
  readonly #channel: Channel;
  readonly #traffic: Traffic;
  readonly #onDrained: (deadline: number) => void;
  readonly #http1 = new Http1Drain();
  readonly #http2 = new Http2Drain();
  readonly #drained = new WeakSet<Server>();
  #plan: Plan | null = null;
  #saidGoodbye = false;
  #isOver = false;
  #progressAt = 0;

  constructor(channel: Channel, traffic: Traffic, onDrained: (deadline: number) => void) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#onDrained = onDrained;
  }

  get hasBegun(): boolean {
    return this.#plan !== null;
  }

  /** Begins to drain, or shortens the drain that is under way. */
  order(order: DrainOrder): void {
    const next = planFor(order);
    const plan = this.#plan;
    if (plan === null) {
      this.#plan = next;
      this.#begin(order.within);
      return;
    }
    this.#plan = {
      ...(next.lingerUntil < plan.lingerUntil ? next : plan),
      startedAt: plan.startedAt,
      deadline: Math.min(plan.deadline, next.deadline),
    };
  }

  #begin(within: number): void {
    this.#progressAt = performance.now() + progressEvery;
    this.#traffic.listener = {
      onRequest: (connection, response) => this.#http1.announce(connection, response),
      onClosed: () => setImmediate(() => this.#endIfEmpty()),
    };
    for (const connection of this.#traffic.connections) this.#http1.announceCurrent(connection);
    for (const run of registry().drains) Promise.resolve().then(run).catch(complain);
    this.#mendClose();
    this.#emptyQueue(performance.now() + Math.min(acceptTime, within / 4), 0, this.#traffic.accepted);
  }

  /**
   * Accepts what already waits to be accepted: a socket that nobody else holds resets it when it is closed. The event
   * loop accepts no more than one connection a turn.
   *
   * @param quietTurns turns in a row without a connection
   */
  #emptyQueue(until: number, quietTurns: number, accepted: number): void {
    setImmediate(() => {
      const isQuiet = this.#traffic.accepted === accepted;
      if ((isQuiet && quietTurns > 0) || performance.now() >= until) {
        this.#sweep();
      } else this.#emptyQueue(until, isQuiet ? quietTurns + 1 : 0, this.#traffic.accepted);
    });
  }

  #stopAccepting(): void {
    for (const server of this.#traffic.servers) {
      if (!server.listening) continue;
      this.#drained.add(server);
      // Not http's or http2's own close(), which ends idle connections at once: a client may be using them this moment.
      net.Server.prototype.close.call(server);
    }
  }

  /** Looks at every connection, right after a poll phase: all that had arrived by then has been read. */
  #sweep(): void {
    const plan = this.#plan;
    if (plan === null || this.#isOver) return;
    const now = performance.now();
    const { connections } = this.#traffic;
    // Again and again: an app may listen at any time.
    this.#stopAccepting();
    this.#http1.look();
    for (const connection of connections) {
      if (connection.session !== null) this.#http2.step(connection, plan, now);
      else if (hasHttpParser(connection.socket) || isHandshaking(connection)) this.#http1.step(connection, plan, now);
    }
    if (!this.#saidGoodbye && now >= goodbyeAt(plan)) {
      this.#saidGoodbye = true;
      for (const connection of connections) sayGoodbye(connection, (plan.deadline - now) / 2);
    }
    if (now >= plan.deadline) this.#cut();
    else {
      this.#endIfEmpty();
      if (now >= this.#progressAt) this.#report(now);
      setTimeout(() => setImmediate(() => this.#sweep()), Math.min(step, plan.deadline - now));
    }
  }

  #report(now: number): void {
    this.#progressAt = now + progressEvery;
    // Nothing piles up behind a master that does not read.
    if (this.#channel.backlog > 0) return;
    const requests = this.#traffic.inFlight().sort((a, b) => b.age - a.age);
    const { connections } = this.#traffic;
    this.#channel.send({
      type: 'draining',
      requests: requests.slice(0, 20).map(({ method, url, age }) => ({ method, url: url.slice(0, 500), age })),
      inFlight: requests.length,
      connections: connections.size,
      upgraded: [...connections].filter(isLongLived).length,
    });
  }

  #cut(): void {
    const cutRequests = this.#traffic.inFlightCount();
    const cutConnections = [...this.#traffic.connections].filter((connection) => cut(connection) === 0).length;
    this.#end(cutRequests, cutConnections);
  }

  #endIfEmpty(): void {
    // Background work that the app told of is as good as a request.
    if (this.#traffic.connections.size === 0 && this.#isStopped() && registry().pending.size === 0) this.#end(0, 0);
  }

  #isStopped(): boolean {
    return [...this.#traffic.servers].every((server) => !server.listening);
  }

  #end(cutRequests: number, cutConnections: number): void {
    if (this.#isOver || this.#plan === null) return;
    this.#isOver = true;
    this.#channel.send({ type: 'drained', cutRequests, cutConnections });
    this.#onDrained(this.#plan.deadline);
  }

  /**
   * The app closes its servers after the drain, as it would have under plain node, and must not be told that they are
   * not running, nor see 'close' a second time.
   */
  #mendClose(): void {
    const { prototype } = net.Server;
    const { close } = prototype;
    const drained = this.#drained;
    const isOver = (): boolean => this.#isOver;
    function closeDrained(this: Server, callback?: (error?: Error) => void): Server {
      if (!drained.has(this) || this.listening) return Reflect.apply(close, this, [callback]);
      if (typeof callback !== 'function') return this;
      if (isOver()) process.nextTick(callback);
      else this.once('close', () => callback());
      return this;
    }
    Object.defineProperty(prototype, 'close', { value: closeDrained, writable: true, configurable: true });
  }
}

function planFor({ within, linger, quick }: DrainOrder): Plan {
  const startedAt = performance.now();
  const time = quick ? 0 : Math.min(linger, within);
  return {
    startedAt,
    deadline: startedAt + within,
    lingerUntil: startedAt + time,
    minIdle: Math.min(minIdle, time),
    headTime: quick ? headTime.quick : headTime.normal,
  };
}

function goodbyeAt({ startedAt, deadline }: Plan): number {
  return deadline - Math.min(goodbyeTime, (deadline - startedAt) * goodbyeShare);
}

/** Neither HTTP/1 nor HTTP/2: only its own peers know when it is done. */
function isLongLived(connection: Connection): boolean {
  return connection.session === null && !hasHttpParser(connection.socket) && !isReceiving(connection.socket);
}

function complain(error: unknown): void {
  console.error(error);
}
