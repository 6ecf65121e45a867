/**
 * Two masters of one service, one after the other: as the old one it starts the new one and leaves everything to it, as
 * the new one it takes everything over. What is decided about it is decided in the core.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { LoadRequest, Settings } from '../../config/resolved.ts';
import type { Event } from '../../core/events.ts';
import type { Fleet } from '../../core/model.ts';
import { messageOf } from '../../errors.ts';
import { socketInode } from '../../system/socket-inode.ts';
import type { Admin } from '../claims/admin-address.ts';
import type { Control } from '../claims/control-socket.ts';
import type { ServiceManager } from '../claims/main-process.ts';
import type { Pidfile } from '../claims/pidfile.ts';
import type { Logger } from '../log/logger.ts';
import type { Listeners } from '../sockets/listeners.ts';
import { type Counted, protocolVersion, type UpgradeMessage } from './channel.ts';
import type { Command } from './own-command.ts';
import { closeUnclaimed, type Predecessor } from './predecessor.ts';
import { Successor } from './successor.ts';

/** Milliseconds that a new master has to take over where the old one ends at once. */
const leaveWithin = 1_000;
/** Milliseconds that a new master which ends may take longer than its clients. */
const endMargin = 10_000;

export interface SuccessionOptions {
  readonly request: LoadRequest;
  readonly command: Command;
  /** Sockets that were there before us, and their inodes: a number may have been used again since. */
  readonly inherited: ReadonlyMap<number, string | null>;
  readonly predecessor: Predecessor | null;
  readonly listeners: Listeners;
  readonly control: Control;
  readonly admin: Admin;
  readonly serviceManager: ServiceManager;
  readonly settings: () => Settings;
  readonly pidfile: () => Pidfile | null;
  /** Writes the pidfile where there is none. */
  readonly announce: () => void;
  /** Hands the counts over, to whoever takes them; `null` keeps them. */
  readonly bequeath: (heir: ((counted: Counted) => void) | null) => void;
  readonly inherit: (counted: Counted | null) => void;
  readonly post: (event: Event) => void;
  readonly logger: () => Logger;
}

export class Succession {
  readonly #options: SuccessionOptions;
  #successor: Successor | null = null;
  /** The new master was told to take what is one master's at a time. */
  #isYielded = false;
  /** It has taken it. */
  #isTaken = false;
  #onTaken: (() => void) | null = null;
  /** An operator has said that this master stays, although the new one has taken over. */
  #isStaying = false;
  #isInCharge: boolean;
  #isStopping = false;

  constructor(options: SuccessionOptions) {
    this.#options = options;
    this.#isInCharge = options.predecessor === null;
  }

  /** Whether the pidfile, the control socket and the admin address are ours. */
  get isInCharge(): boolean {
    return this.#isInCharge && !this.#isTaken;
  }

  /** What the master has to open by itself at the start. @throws BindError */
  async open(): Promise<void> {
    const { predecessor, admin, control, settings } = this.#options;
    const theirs = predecessor?.bequest ?? null;
    const isTheirs = theirs !== null && theirs.adminAddress === JSON.stringify(settings().admin);
    if (!isTheirs) await admin.ensure(settings().admin);
    if (theirs !== null) control.leaveTo(theirs.control);
    await control.ensure();
    predecessor?.listen(
      (message) => this.#onPredecessor(message),
      () => {
        this.#options.post({ type: 'predecessorGone' });
        this.#options.inherit(null);
        this.#options.listeners.own();
        void this.#takeCharge();
      },
    );
  }

  /** Tells the other one what it has to know of our intentions. */
  onTurn({ stopping, upgrade }: Fleet): void {
    if (upgrade.state === 'ready' && upgrade.byHand && this.#isTaken && !this.#isStaying) {
      this.#isStaying = true;
      this.#successor?.send({ type: 'stays' });
    }
    // The old one is not to serve again after us; but where we give up, which nobody has told us to.
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
    const { command, request, inherited, listeners, admin, control, post } = this.#options;
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
        listeners: listeners.handOver(),
        inherited: [...inherited]
          .filter(([fd, inode]) => inode !== null && socketInode(fd) === inode)
          .map(([fd]) => fd),
        passed: request.passed ?? [],
        admin: admin.handOver(),
        adminAddress: admin.address,
        control: control.path,
      },
      onMessage: (message) => this.#onSuccessor(message),
      onGone: (reason) => this.#onSuccessorGone(successor, reason),
    });
    this.#successor = successor;
    const pid = successor.start();
    if (pid !== null) post({ type: 'successorSpawned', pid });
  }

  /** Leaves what is one master's at a time to the new one. */
  yield(reload: boolean): void {
    this.#isYielded = true;
    const successor = this.#successor;
    // The counts come first: the new one's page never shows less than ours.
    if (successor !== null) this.#options.bequeath((counted) => successor.send({ type: 'counted', counted }));
    successor?.send({ type: 'yours', reload });
  }

  abandon(reason: string): void {
    const { gracefulTimeout, drainDelay } = this.#options.settings();
    this.#successor?.end(reason, gracefulTimeout + drainDelay + endMargin);
  }

  /** This master ends next: a new one that is there takes over before, so that at no moment nobody is found. */
  async leave(): Promise<void> {
    if (this.#successor === null || this.#isTaken) return;
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
    const { admin, control, post, serviceManager } = this.#options;
    if (message.type === 'ready') post({ type: 'successorReadied' });
    if (message.type === 'stopping') post({ type: 'successorStopping' });
    if (message.type !== 'taken' || this.#isTaken) return;
    this.#isTaken = true;
    control.retire();
    admin.retire();
    const pid = this.#successor?.pid ?? null;
    if (pid !== null) serviceManager.mainpid(pid);
    post({ type: 'successorTook' });
    this.#onTaken?.();
  }

  /** As if nothing had happened. */
  #onSuccessorGone(successor: Successor, reason: string): void {
    const { admin, announce, control, listeners, logger, pidfile, post, serviceManager, settings } = this.#options;
    this.#successor = null;
    listeners.share(false);
    this.#options.bequeath(null);
    if (successor.pid !== null) pidfile()?.removeSecond(successor.pid);
    post({ type: 'successorGone', reason });
    this.#onTaken?.();
    if (!this.#isYielded) return;
    // It may have taken some of it already, and not have come to say so.
    if (!this.#isTaken) {
      control.retire();
      admin.retire();
    }
    this.#isYielded = false;
    this.#isTaken = false;
    announce();
    serviceManager.mainpid(process.pid);
    control.takeOver().catch((error: unknown) => logger().error(messageOf(error)));
    admin.ensure(settings().admin, null, true).catch((error: unknown) => logger().error(messageOf(error)));
  }

  #onPredecessor(message: UpgradeMessage): void {
    const { post, predecessor } = this.#options;
    if (message.type === 'yours') {
      post({ type: 'predecessorYielded' });
      void this.#takeCharge().then(() => {
        predecessor?.send({ type: 'taken' });
        if (message.reload) post({ type: 'reloadRequested' });
      });
    }
    if (message.type === 'counted') this.#options.inherit(message.counted);
    if (message.type === 'stays') post({ type: 'predecessorStayed' });
    if (message.type === 'end') {
      predecessor?.send({ type: 'ending' });
      post({ type: 'stopRequested', kind: 'graceful' });
    }
  }

  async #takeCharge(): Promise<void> {
    const { admin, control, listeners, logger, pidfile, predecessor, serviceManager, settings } = this.#options;
    if (this.#isInCharge || predecessor === null) return;
    this.#isInCharge = true;
    const attempt = async (run: () => void | Promise<void>): Promise<void> => {
      try {
        await run();
      } catch (error) {
        logger().error(messageOf(error));
      }
    };
    const handed = predecessor.bequest.admin;
    const isHanded = handed !== null && handed.address === JSON.stringify(settings().admin);
    await attempt(() => listeners.takeCharge());
    await attempt(() => pidfile()?.promote());
    await attempt(() => control.takeOver());
    await attempt(() => admin.ensure(settings().admin, isHanded ? handed.fd : null, true));
    if (handed !== null && !isHanded) closeUnclaimed(handed.fd);
    serviceManager.mainpid(process.pid);
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
