/** Grants workers the listening sockets they ask for, and moves queues between them as they are assigned. */

import { constants } from 'node:os';
import { mostWorkers } from '../../config/most-workers.ts';
import type { Settings } from '../../config/resolved.ts';
import type { Event } from '../../core/events.ts';
import { BindError, messageOf } from '../../errors.ts';
import type { WorkerMessage } from '../../protocol/messages.ts';
import { monotonic } from '../../system/monotonic.ts';
import { type Logger, logLines } from '../log/logger.ts';
import { maxAppListeners, refusalFor } from '../service/rights.ts';
import { stopNow } from '../stop-now.ts';
import type { Pool } from '../workers/pool.ts';
import { errnoOf, type Listener, type Listeners } from './listeners.ts';
import { Unused } from './unused.ts';

type ListenMessage = Extract<WorkerMessage, { type: 'listen' }>;

interface Holding {
  /** Indexes of the queues the worker is to accept from. */
  queues: readonly number[];
  /** Queues that were granted to it, by the listener's key. */
  readonly held: Map<string, Set<number>>;
  /** Listeners that it asked for after it was ready: the next worker need not want them. */
  readonly late: Set<string>;
  isReady: boolean;
  /** Whether there is to be more than one worker: one that is alone at the moment is not so for long. */
  isOneOfMany: boolean;
  /** What the worker was told of others last. */
  knowsOfOthers: boolean;
  /** It has sockets, and accepts nobody from them. */
  isHeld: boolean;
}

export interface GrantsOptions {
  readonly listeners: Listeners;
  readonly pool: Pool;
  /** Sockets that were open when the master started. */
  readonly inherited: ReadonlySet<number>;
  readonly logger: () => Logger;
  /** Whether an address in use is worth another try: a service before this one may be on its way out. */
  readonly isStarting: () => boolean;
  /** A listener was closed, or one may have been opened. */
  readonly onChanged: () => void;
  readonly post: (event: Event) => void;
}

const retries = 5;
const retryDelay = 1_000;
/** Milliseconds before the same is logged again. */
const repeatAfter = 10_000;

export class Grants {
  readonly #options: GrantsOptions;
  readonly #holdings = new Map<number, Holding>();
  readonly #unused: Unused;
  /** What spares have asked for: they get it when they accept from queues, which is when they have a slot. */
  readonly #held = new Map<number, { readonly message: ListenMessage; readonly settings: Settings }[]>();
  /** Workers that accept nobody until they are admitted. */
  readonly #restrained = new Set<number>();
  #isOver = false;
  /** What was logged, and when. */
  readonly #said = new Map<string, number>();

  constructor(options: GrantsOptions) {
    const { listeners, onChanged } = options;
    this.#options = options;
    this.#unused = new Unused({ listeners, isHeld: (key) => this.#isHeld(key), onClosed: onChanged });
  }

  /** The service stops and lets go of its sockets: a worker that boots now and asks for one is about to be killed. */
  end(): void {
    this.#isOver = true;
  }

  /** Answers a worker's `listen()` with sockets, or with the reason why there are none. */
  async answer(id: number, message: ListenMessage, settings: Settings): Promise<void> {
    const { isStarting, pool } = this.#options;
    // Binding anew would find the address in use, by the workers that still drain.
    if (this.#isOver) return;
    try {
      const listeners = await this.#open(message, settings);
      const holding = this.#holdings.get(id);
      if (holding === undefined) return;
      const granted = listeners.flatMap((listener) =>
        wantedOf(holding, listener).map((queue) => ({ listener, queue })),
      );
      for (const { listener, queue } of granted) {
        const handle = listener.queues[queue];
        const { key, backlog } = listener;
        heldOf(holding, key).add(queue);
        if (holding.isReady) holding.late.add(key);
        pool.send(
          id,
          { type: 'grant', seq: message.seq, listener: key, queue, count: granted.length, backlog },
          handle,
        );
      }
      holding.isOneOfMany = mostWorkers(settings) > 1;
      this.#tellOfOthers();
      if (granted.length > 0) this.#options.post({ type: 'workerListened', id });
    } catch (error) {
      if (this.#isOver) return;
      // The address is prefork's own choice: no other worker would do better. Once it serves, no worker ends the service.
      if (message.bound && error instanceof BindError && isStarting()) stopNow(error, this.#options);
      else if (!this.#isRepeated(messageOf(error)))
        logLines(this.#options.logger(), 'error', messageOf(error), { worker: id });
      pool.send(id, { type: 'refused', seq: message.seq, errno: errnoOf(error, message.query) });
    }
  }

  /** A spare asks for sockets: it waits for them until it has a place. */
  hold(id: number, message: ListenMessage, settings: Settings): void {
    const held = this.#held.get(id) ?? [];
    this.#held.set(id, held);
    if (held.length < maxAppListeners) held.push({ message, settings });
    else this.#options.pool.send(id, { type: 'refused', seq: message.seq, errno: -constants.errno.EMFILE });
  }

  /** A worker is about to be born that has its sockets and accepts nobody, until it is admitted. */
  restrain(id: number): void {
    this.#restrained.add(id);
  }

  /** The worker accepts from its sockets from now on. */
  admit(id: number): void {
    this.#restrained.delete(id);
    const holding = this.#holdings.get(id);
    if (holding === undefined) return;
    holding.isHeld = false;
    this.#tellOfOthers();
  }

  /** Takes in which queues a worker is to accept from; grants and withdraws the difference. */
  assign(id: number, queues: readonly number[]): void {
    const { listeners, pool } = this.#options;
    const holding = this.#holdings.get(id);
    if (holding === undefined) {
      this.#holdings.set(id, {
        queues,
        held: new Map(),
        late: new Set(),
        isReady: false,
        isOneOfMany: false,
        knowsOfOthers: false,
        isHeld: this.#restrained.has(id),
      });
      this.#release(id);
      return;
    }
    holding.queues = queues;
    for (const [key, held] of holding.held) {
      const listener = listeners.get(key);
      if (listener === undefined) continue;
      const wanted = wantedOf(holding, listener);
      for (const queue of wanted) {
        if (held.has(queue)) continue;
        held.add(queue);
        pool.send(id, { type: 'assign', listener: key, queue, backlog: listener.backlog }, listener.queues[queue]);
      }
      for (const queue of held) {
        if (wanted.includes(queue)) continue;
        held.delete(queue);
        pool.send(id, { type: 'unassign', listener: key, queue });
      }
    }
  }

  /** The worker is ready: what it listens on now is what the app serves. */
  readied(id: number): void {
    const holding = this.#holdings.get(id);
    // What it opens later goes with it, however often it says this.
    if (holding === undefined || holding.isReady) return;
    holding.isReady = true;
    for (const key of holding.held.keys()) this.#unused.serves(key);
  }

  /**
   * The worker's server closed by itself.
   *
   * @param isWanted whether the app has closed it; a worker that drains closes what others serve
   */
  unlisten(id: number, key: string, isWanted: boolean): void {
    const holding = this.#holdings.get(id);
    const wasHeld = holding?.held.delete(key) === true;
    if (wasHeld && !this.#isOver && (isWanted || this.#isLate(holding, key)))
      this.#unused.left(key, () => (this.#holdings.has(id) ? (this.accepts(id) ? 'serves' : 'idle') : 'gone'));
    this.#tellOfOthers();
    this.#options.pool.send(id, { type: 'unlistened', listener: key });
  }

  /** Whether the worker accepts connections, from any listener. */
  accepts(id: number): boolean {
    return this.keysOf([id]).size > 0;
  }

  /** Whether a worker other than this one accepts connections. */
  othersAccept(id: number): boolean {
    return this.keysOf([...this.#holdings.keys()].filter((other) => other !== id)).size > 0;
  }

  /** Whether a worker other than this one accepts from a listener. */
  othersHold(id: number, key: string): boolean {
    return [...this.#holdings].some(([other, { held }]) => other !== id && held.has(key));
  }

  /** A worker is to accept from every queue of a listener. */
  gather(id: number, key: string): void {
    const { listeners, pool } = this.#options;
    const held = this.#holdings.get(id)?.held.get(key);
    const listener = listeners.get(key);
    if (held === undefined || listener === undefined) return;
    for (const [queue, handle] of listener.queues.entries()) {
      if (held.has(queue)) continue;
      held.add(queue);
      pool.send(id, { type: 'assign', listener: key, queue, backlog: listener.backlog }, handle);
    }
  }

  forget(id: number): void {
    this.#held.delete(id);
    this.#restrained.delete(id);
    const holding = this.#holdings.get(id);
    this.#holdings.delete(id);
    this.#tellOfOthers();
    if (holding === undefined || this.#isOver) return;
    for (const key of holding.held.keys()) if (this.#isLate(holding, key)) this.#unused.left(key, () => 'gone');
  }

  /** Keys of the listeners that any of these workers accepts from. */
  keysOf(ids: Iterable<number>): Set<string> {
    return new Set([...ids].flatMap((id) => [...(this.#holdings.get(id)?.held.keys() ?? [])]));
  }

  /** The spare has a place. */
  #release(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    const answers = held.map(({ message, settings }) => this.answer(id, message, settings));
    void Promise.all(answers).finally(() => this.#options.onChanged());
  }

  /** A worker that is full leaves connections to others, if there are any. */
  #tellOfOthers(): void {
    const accepting = [...this.#holdings].filter(([, { held, isHeld }]) => held.size > 0 && !isHeld);
    for (const [id, holding] of accepting) {
      const othersAccept = accepting.length > 1 || holding.isOneOfMany;
      if (holding.knowsOfOthers === othersAccept) continue;
      holding.knowsOfOthers = othersAccept;
      this.#options.pool.send(id, { type: 'peers', othersAccept });
    }
  }

  /** All workers ask for the same addresses at the same time. */
  #isRepeated(text: string): boolean {
    const now = monotonic();
    const last = this.#said.get(text) ?? Number.NEGATIVE_INFINITY;
    if (this.#said.size >= maxAppListeners) this.#said.clear();
    this.#said.set(text, now);
    return now - last < repeatAfter;
  }

  #isHeld(key: string): boolean {
    return [...this.#holdings.values()].some(({ held }) => held.has(key));
  }

  /** Whether it goes with the worker: no other has served there. */
  #isLate({ late }: Holding, key: string): boolean {
    return late.has(key) && !this.#unused.isServed(key);
  }

  /** @throws BindError if the workers' user could not bind it, and the configuration does not name it */
  #authorise({ query, ordinal }: ListenMessage, settings: Settings): void {
    const { listeners, inherited } = this.#options;
    // What is open costs nothing: a worker that has used up the rest keeps no other from it.
    const isFull = listeners.all().length >= maxAppListeners && !listeners.isOpen(query, ordinal);
    const refusal = isFull ? refusalOf(query, 'EMFILE') : unauthorised(query, settings, inherited);
    if (refusal !== null) throw refusal;
  }

  async #open(message: ListenMessage, settings: Settings): Promise<Listener[]> {
    const { listeners, isStarting } = this.#options;
    if (!message.bound) this.#authorise(message, settings);
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (!message.bound) return [await listeners.openQuery(message.query, message.ordinal, settings.backlog)];
        const addresses = settings.bind.length > 0 ? settings.bind : [settings.defaultBind];
        return (await listeners.openAll(addresses, settings.backlog)).listeners;
      } catch (error) {
        const inUse = error instanceof BindError && error.errno === 'EADDRINUSE';
        if (!inUse || !isStarting() || this.#isOver || attempt >= retries) throw error;
        const text = `${error.message.split('\n', 1)[0]}; trying again (${attempt + 1} of ${retries})`;
        if (!this.#isRepeated(text)) this.#options.logger().warn(text);
        await new Promise((resolve) => setTimeout(resolve, retryDelay));
      }
    }
  }
}

/** @returns why the master may not bind what an app's `listen()` names; `null` if it may */
export function unauthorised(
  query: ListenMessage['query'],
  settings: Settings,
  inherited: ReadonlySet<number>,
): BindError | null {
  const errno = refusalFor(query, settings, inherited);
  return errno === null ? null : refusalOf(query, errno);
}

function refusalOf(query: ListenMessage['query'], errno: 'EMFILE' | 'EBADF' | 'EACCES'): BindError {
  const reason = {
    EMFILE: `the app listens on ${maxAppListeners} addresses already`,
    EBADF: 'it is no socket that prefork was started with',
    EACCES: 'the user of the workers may not bind it, and bind does not name it',
  }[errno];
  const label = labelOf(query);
  return new BindError(label, errno, `the app asks for ${label}: ${reason} (${errno})`);
}

function labelOf({ address, port, fd, addressType }: ListenMessage['query']): string {
  if (fd !== null && fd >= 0) return `fd://${fd}`;
  return addressType === -1 ? `unix:${address ?? ''}` : `${address ?? ''}:${port ?? 0}`;
}

/** A listener with one queue serves all workers; what was inherited may have another number of queues. */
function wantedOf(holding: Holding, { queues }: Listener): readonly number[] {
  return [...new Set(holding.queues.map((queue) => queue % queues.length))];
}

function heldOf(holding: Holding, key: string): Set<number> {
  const held = holding.held.get(key) ?? new Set();
  holding.held.set(key, held);
  return held;
}
