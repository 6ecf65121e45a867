/**
 * Connections outlive their worker: idle ones are put into a queue that all workers of the service share, and whichever
 * worker serves takes them from there, as it takes new ones from the kernel's queue (docs/decisions/0025). The kernel owns
 * what is in it: at no moment has a connection two owners, and none is lost with a worker that dies before it takes one.
 */
import type { MasterMessage } from '../../protocol/messages.ts';
import { learnPipes } from '../../system/node-internals.ts';
import type { Connection } from '../traffic/connection.ts';
import { Giving } from './giving.ts';
import type { MigrationParts } from './parts.ts';
import { Taking } from './taking.ts';
import { Tally } from './tally.ts';

export class Migration {
  readonly #tally: Tally;
  readonly #giving: Giving;
  readonly #taking: Taking;
  #hasHeirs = false;

  constructor(parts: MigrationParts) {
    // Connections are given by a worker whose channel to the master is gone as well.
    learnPipes();
    this.#tally = new Tally(parts.channel);
    this.#giving = new Giving(parts, this.#tally);
    this.#taking = new Taking(parts, this.#tally, this.#giving);
  }

  order({ keep, take, listeners, atWork, heirs }: Omit<Extract<MasterMessage, { type: 'migrate' }>, 'type'>): void {
    this.#hasHeirs = heirs;
    this.#taking.order(take);
    this.#giving.order(keep, listeners, atWork);
  }

  /** Whether another master's workers inherit what this one has if its master dies. */
  get hasHeirs(): boolean {
    return this.#hasHeirs;
  }

  /**
   * Nobody says any more who gives and who takes.
   *
   * @param isInherited whether others are there for every connection
   */
  orphaned(isInherited: boolean): void {
    this.#giving.order(isInherited ? 0 : null, null, false);
    if (isInherited) this.#taking.order(0);
    else this.#taking.takeLeftovers();
  }

  /** Whether the connection is about to go, and is to be left alone meanwhile. */
  isLeaving(connection: Connection): boolean {
    return this.#giving.isLeaving(connection);
  }

  /**
   * Whether the connection goes to another worker as soon as it is idle, so that its client need not be told to leave.
   *
   * @param isBusy the app has a request of it: what listens on the socket may be gone with the response
   */
  goes(connection: Connection, isBusy = false): boolean {
    return this.#giving.goes(connection, isBusy);
  }

  /** Gives away all that is idle, if this worker leaves. To be called right after a poll phase. */
  giveIdle(): void {
    this.#giving.giveIdle();
  }

  /** The drain is over: tells the master of all that has gone, and that has not. */
  finish(): void {
    this.#taking.finish();
    this.#giving.finish();
    this.#tally.report();
  }
}
