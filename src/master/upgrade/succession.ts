/**
 * Two masters of one service, one after the other: the old one starts the new one and yields to it, the new one takes
 * over. What is decided about it is decided in the core.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { LoadRequest, Settings } from '../../config/resolved.ts';
import type { Event } from '../../core/events.ts';
import { fixed } from '../../core/fixed.ts';
import type { Fleet } from '../../core/model.ts';
import { messageOf } from '../../errors.ts';
import { monotonic } from '../../system/monotonic.ts';
import { socketInode } from '../../system/socket-inode.ts';
import type { Claims } from '../claims/claims.ts';
import type { Logger } from '../log/logger.ts';
import type { WorkerQueue } from '../migration/queue.ts';
import type { Listeners } from '../sockets/listeners.ts';
import { protocolVersion, type UpgradeMessage } from './channel.ts';
import type { Counts } from './counts.ts';
import type { Command } from './own-command.ts';
import type { Predecessor } from './predecessor.ts';
import { Successor } from './successor.ts';

/** Milliseconds that a new master has to take over if the old one ends at once. */
const leaveWithin = 1_000;
/** Milliseconds that a new master which ends may take longer than its clients. */
const endMargin = 10_000;
const stoppingNow = 'the service is stopping now';

export interface SuccessionOptions {
  readonly request: LoadRequest;
  readonly command: Command;
  /** Sockets that were there before us, and their inodes: a number may have been used again since. */
  readonly inherited: ReadonlyMap<number, string | null>;
  readonly predecessor: Predecessor | null;
  readonly listeners: Listeners;
  /** The queue between workers, which the new master's share. */
  readonly queue: WorkerQueue | null;
  readonly claims: Claims;
  readonly counts: Counts;
  /** Workers that there are to be. */
  readonly wanted: () => number;
  readonly settings: () => Settings;
  readonly post: (event: Event) => void;
  readonly logger: () => Logger;
}

export class Succession {
  readonly #options: SuccessionOptions;
  #successor: Successor | null = null;
  /** The new master was told to take over. */
  #isYielded = false;
  /** It has taken over. */
  #isTaken = false;
  #onTaken: (() => void) | null = null;
  /** An operator has said that this master stays, although the new one has taken over. */
  #isStaying = false;
  #isInCharge: boolean;
  /** It is being taken over, or has been. */
  #takingOver: Promise<void> | null = null;
  /** The old master knows that this one stops. */
  #isStopping = false;
  #saidReloading = false;
  #fleet: Fleet | null = null;
  /** The other master has asked for it: it is not to be asked in turn. */
  #isReopeningToo = false;
  /** When the new master had taken over; milliseconds of the monotonic clock. */
  #takenAt = 0;

  constructor(options: SuccessionOptions) {
    this.#options = options;
    this.#isInCharge = options.predecessor === null;
  }

  /** Listens to the master before this one, if there is one. */
  start(): void {
    const { counts, listeners, post, predecessor } = this.#options;
    predecessor?.listen(
      (message) => this.#onPredecessor(message),
      () => {
        post({ type: 'predecessorGone' });
        counts.inherit(null);
        listeners.own();
        void this.#takeOver();
      },
    );
  }

  /** Tells the other master what it has to know of the intentions of this one. */
  onTurn(fleet: Fleet): void {
    const { reloads, stopping, upgrade } = fleet;
    this.#fleet = fleet;
    if (reloads > 0 && !this.#saidReloading) {
      this.#saidReloading = true;
      this.#options.predecessor?.send({ type: 'reloading' });
    }
    if (upgrade.state === 'ready' && upgrade.byHand && this.#isTaken && !this.#isStaying) {
      this.#isStaying = true;
      this.#successor?.send({ type: 'stays' });
    }
    // If this one is told to stop, the old one is not to serve again after it; if it gives up by itself, it is.
    if (stopping === null || stopping.status !== 0 || this.#isStopping || !this.#isInCharge) return;
    this.#isStopping = true;
    this.#options.predecessor?.send({ type: 'stopping' });
  }

  /** All our workers are ready. */
  ready(): void {
    this.#options.listeners.settle();
    this.#options.predecessor?.send({ type: 'ready' });
  }

  /** Starts a new master. */
  upgrade(): void {
    const { claims, command, request, inherited, listeners, post, queue } = this.#options;
    const refusal = refusalOf(command);
    if (refusal !== null) {
      post({ type: 'successorGone', reason: refusal });
      return;
    }
    this.#isYielded = false;
    this.#isTaken = false;
    this.#isStaying = false;
    listeners.share(true);
    const successor = new Successor({
      command,
      env: request.env,
      umask: request.umask ?? process.umask(),
      bequest: {
        version: protocolVersion,
        pid: process.pid,
        wanted: this.#options.wanted(),
        listeners: listeners.bequest(),
        queue: queue?.descriptors ?? null,
        inherited: [...inherited]
          .filter(([fd, inode]) => inode !== null && socketInode(fd) === inode)
          .map(([fd]) => fd),
        passed: request.passed ?? [],
        ...claims.bequest(),
      },
      onMessage: (message) => this.#onSuccessor(message),
      onGone: (reason) => this.#onSuccessorGone(reason),
    });
    this.#successor = successor;
    const pid = successor.start();
    if (pid !== null) post({ type: 'successorSpawned', pid });
  }

  /** Has the new master take over the claims. */
  yield(reload: boolean): void {
    this.#isYielded = true;
    const successor = this.#successor;
    // The counts come first: the new one's page never shows less than ours.
    if (successor !== null) this.#options.counts.bequeath((counted) => successor.send({ type: 'counted', counted }));
    successor?.send({ type: 'yours', reload });
  }

  abandon(reason: string, quick: boolean): void {
    const { gracefulTimeout, drainDelay } = this.#options.settings();
    this.#successor?.end(reason, gracefulTimeout + drainDelay + endMargin, quick);
  }

  /** Has the new master do what was asked of this one. */
  handOn(what: 'reload' | 'quickStop'): void {
    if (what === 'reload') this.#successor?.send({ type: 'yours', reload: true });
    else this.abandon(stoppingNow, true);
  }

  /** An order that comes when this master decides nothing any more: whoever gave it had read the pidfile just before. */
  handOnLate(event: Event): void {
    const successor = this.#successor;
    if (successor === null || !this.#isTaken) return;
    if (event.type === 'reloadRequested') successor.send({ type: 'yours', reload: true });
    if (event.type === 'reopenRequested') successor.send({ type: 'reopen' });
    if (event.type !== 'stopRequested' || monotonic() - this.#takenAt > fixed.lateOrder) return;
    successor.send({ type: 'end', reason: 'the service is stopping', quick: event.kind === 'quick' });
  }

  /** Log files are reopened here: the other master writes to the same ones. */
  reopen(): void {
    const isAsked = this.#isReopeningToo;
    this.#isReopeningToo = false;
    if (isAsked) return;
    this.#successor?.send({ type: 'reopen' });
    this.#options.predecessor?.send({ type: 'reopen' });
  }

  /**
   * This master ends next: a new one that is there takes over first, so that there is one to be found at every moment.
   * Orders to who had the pidfile are handed on for another moment.
   */
  async leave(): Promise<void> {
    if (this.#successor === null) return;
    if (this.#isTaken) {
      const left = this.#takenAt + fixed.lateOrder - monotonic();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
      return;
    }
    await new Promise<void>((resolve) => {
      this.#onTaken = resolve;
      setTimeout(resolve, leaveWithin);
      this.yield(false);
    });
  }

  /** A bug ends this master: a new one that was to be ended is not left behind. */
  crash(isEnding: boolean): void {
    if (isEnding) this.#successor?.kill();
  }

  #onSuccessor(message: UpgradeMessage): void {
    const { claims, post } = this.#options;
    if (message.type === 'ready') post({ type: 'successorReadied' });
    if (message.type === 'stopping') post({ type: 'successorStopping' });
    if (message.type === 'reloading') post({ type: 'successorReloading' });
    if (message.type === 'reopen') this.#reopenToo();
    const pid = this.#successor?.pid ?? null;
    if (message.type !== 'taken' || this.#isTaken || pid === null) return;
    this.#isTaken = true;
    this.#takenAt = monotonic();
    claims.yield(pid);
    post({ type: 'successorTook' });
    this.#onTaken?.();
  }

  /** This master goes on as if nothing had happened. */
  #onSuccessorGone(reason: string): void {
    const { claims, counts, listeners, post } = this.#options;
    this.#successor = null;
    listeners.share(false);
    counts.bequeath(null);
    post({ type: 'successorGone', reason });
    this.#onTaken?.();
    // It may have taken some of them without having come to say so.
    if (this.#isYielded) void claims.takeOver();
    else void claims.keep();
    this.#isYielded = false;
    this.#isTaken = false;
  }

  #onPredecessor(message: UpgradeMessage): void {
    const { counts, post, predecessor } = this.#options;
    // One that was told to end before does so: the old one serves on.
    if (message.type === 'yours' && (this.#isInCharge || this.#fleet === null || this.#fleet.stopping === null)) {
      post({ type: 'predecessorYielded' });
      void this.#takeOver().then(() => {
        predecessor?.send({ type: 'taken' });
        if (message.reload) post({ type: 'reloadRequested' });
      });
    }
    if (message.type === 'counted') counts.inherit(message.counted);
    if (message.type === 'stays') post({ type: 'predecessorStayed' });
    if (message.type === 'end') {
      predecessor?.send({ type: 'ending' });
      post({ type: 'predecessorWaits' });
      const kind = message.quick === true ? 'quick' : 'graceful';
      // One that stops already was told so by somebody else: this is no second request.
      if (kind === 'quick' || this.#fleet === null || this.#fleet.stopping === null)
        post({ type: 'stopRequested', kind });
    }
    if (message.type === 'reopen') this.#reopenToo();
  }

  #reopenToo(): void {
    this.#isReopeningToo = true;
    this.#options.post({ type: 'reopenRequested' });
  }

  /** The service is this master's from here on. */
  #takeOver(): Promise<void> {
    this.#takingOver ??= this.#takeAll();
    return this.#takingOver;
  }

  async #takeAll(): Promise<void> {
    const { claims, listeners, logger } = this.#options;
    this.#isInCharge = true;
    try {
      listeners.takeCharge();
    } catch (error) {
      logger().error(messageOf(error));
    }
    await claims.takeOver();
  }
}

/** Programs that end a container when the process they have started ends. */
const inits = new Set(['tini', 'docker-init', 'dumb-init', 'catatonit']);

/** Why a new master cannot be started from here. */
function refusalOf({ cwd }: Command): string | null {
  if (process.pid === 1 || (process.ppid === 1 && inits.has(nameOfInit())))
    return 'the container ends with the process it was started with; replace the container instead';
  return existsSync(cwd) ? null : `the directory it was started in is gone: ${cwd}`;
}

function nameOfInit(): string {
  try {
    return readFileSync('/proc/1/comm', 'utf8').trim();
  } catch {
    return '';
  }
}
