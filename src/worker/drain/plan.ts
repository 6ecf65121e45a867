/** When what happens in a drain. */

/** How the worker is to drain, as the master says it. */
export interface DrainOrder {
  /** Milliseconds until everything must be over. */
  readonly within: number;
  /** Milliseconds that idle connections are left open, so that their next request is still served. */
  readonly linger: number;
  /** Close idle connections at once. */
  readonly quick: boolean;
  /** Whether somebody waits for the end of this worker, maybe for less time than it has by its configuration. */
  readonly awaited: boolean;
  /** Whether nobody else is going to accept, so that what waits in the queues is this worker's. */
  readonly last: boolean;
  /** Listeners, by their keys, of which the same is true, while others serve the rest. */
  readonly dropped: readonly string[];
}

/** The drain's times, of `performance.now()`, and its durations, in milliseconds. */
export interface Plan {
  readonly startedAt: number;
  readonly deadline: number;
  /** Since when somebody waits for its end; `null` if nobody does. */
  readonly awaitedSince: number | null;
  /** When the last idle connection is closed. */
  readonly lingerUntil: number;
  /** Duration that a connection stays open after it has become idle. */
  readonly minIdle: number;
  /** The same of a connection on which nothing has arrived yet: its client has just opened it, to send something. */
  readonly freshTime: number;
  /** Duration that a request may take to arrive, from its first byte to the end of its head. */
  readonly headTime: number;
}

/** Connections idle for less than this are likely to be used again at once. */
const minIdle = 250;
const freshTime = { normal: 250, quick: 100 };
const headTime = { normal: 3_000, quick: 250 };
/** How long before the deadline event streams are ended. */
const goodbyeTime = 1_000;
const goodbyeShare = 0.2;

/** @param startedAt of `performance.now()` */
export function planFor(
  { within, linger, quick, awaited }: Omit<DrainOrder, 'last' | 'dropped'>,
  startedAt: number,
): Plan {
  const time = quick ? 0 : Math.min(linger, within);
  return {
    startedAt,
    deadline: startedAt + within,
    awaitedSince: awaited ? startedAt : null,
    lingerUntil: startedAt + time,
    minIdle: Math.min(minIdle, time),
    freshTime: quick ? freshTime.quick : freshTime.normal,
    headTime: quick ? headTime.quick : headTime.normal,
  };
}

/** Milliseconds past the deadline that the app's own SIGTERM handlers get if the drain has taken all the time there was. */
export const lastWords = 250;

/**
 * How a worker without a master drains: what comes after the drain is a part of the time that it may outlive its master.
 *
 * @param last whether nobody else holds the sockets: what closes the last copy of one spoils it for all others
 */
export function orphanOrder(
  times: { readonly gracefulTimeout: number; readonly drainLinger: number },
  last: boolean,
): DrainOrder {
  const { gracefulTimeout, drainLinger } = times;
  const within = Math.max(gracefulTimeout / 2, gracefulTimeout - 2 * lastWords);
  return { within, linger: drainLinger, quick: false, awaited: true, last, dropped: [] };
}

/** A further order during a drain makes it shorter, never longer. */
export function shortened(plan: Plan, next: Plan): Plan {
  return {
    ...(next.lingerUntil < plan.lingerUntil ? next : plan),
    startedAt: plan.startedAt,
    awaitedSince: plan.awaitedSince ?? next.awaitedSince,
    deadline: Math.min(plan.deadline, next.deadline),
  };
}

/** Before WebSockets are told, the app may say goodbye in its own way; then they are, one after the other. */
const webSockets = {
  waits: 1_000,
  waitsShare: 0.1,
  takes: 2_000,
  takesShare: 0.2,
  patience: 3_000,
  patienceShare: 0.3,
};

/** When WebSockets are told to connect anew, and how long a client may take to do so, in milliseconds. */
export function webSocketTimes({ startedAt, deadline }: Plan): { from: number; until: number; patience: number } {
  const total = deadline - startedAt;
  const from = startedAt + Math.min(webSockets.waits, total * webSockets.waitsShare);
  return {
    from,
    until: from + Math.min(webSockets.takes, total * webSockets.takesShare),
    patience: Math.min(webSockets.patience, total * webSockets.patienceShare),
  };
}

/** The end of a drain that belongs to connections which nobody has taken: they are told, and closed. */
const untaken = { time: 3_000, share: 0.3 };

/** When connections are no longer kept for another worker to take them. */
export function keptUntil({ startedAt, deadline }: Plan): number {
  return deadline - Math.min(untaken.time, (deadline - startedAt) * untaken.share);
}

/**
 * When event streams are ended that seem to have no end: nothing has been written to them for a while, or they are old.
 * What stops a service often kills it after 10 s, whatever it is configured to.
 */
const endless = { from: 4_000, until: 7_000 };

/**
 * When an event stream without an end is ended; `null` if nobody waits for that.
 *
 * @param luck 0 to 1
 */
export function endlessUntil({ awaitedSince }: Plan, luck: number): number | null {
  return awaitedSince === null ? null : awaitedSince + endless.from + (endless.until - endless.from) * luck;
}

/** When event streams are ended. */
export function goodbyeAt({ startedAt, deadline }: Plan): number {
  return deadline - Math.min(goodbyeTime, (deadline - startedAt) * goodbyeShare);
}
