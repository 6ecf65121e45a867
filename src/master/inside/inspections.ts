/** Looks into workers that take their time: at most one into each, and none outlives the operator who asked for it. */
import type { Readable } from 'node:stream';
import type { Event } from '../../core/events.ts';
import type { Worker } from '../../core/model.ts';
import { messageOf } from '../../errors.ts';
import type { Inspection } from '../../protocol/messages.ts';
import { heapLimit } from '../../protocol/tube.ts';
import { within as atMost, timedOut } from '../../system/within.ts';
import { workerFields } from '../log/line.ts';
import type { Logger } from '../log/logger.ts';
import type { Pool } from '../workers/pool.ts';
import { Tube } from './tube.ts';

export type Inspected =
  | { readonly kind: 'refused'; readonly code: 'busy' | 'silent' | 'failed'; readonly reason: string }
  | { readonly kind: 'taken'; readonly size: number; readonly note: string | null; readonly content: Readable };

export interface InspectionsOptions {
  readonly pool: Pool;
  readonly post: (event: Event) => void;
  readonly logger: () => Logger;
  /** Settles when a worker's event loop has turned. */
  readonly whenTurns: (id: number) => Promise<void>;
}

/** Milliseconds in which a worker whose event loop turns has heard of it, however busy it is. */
const hearsWithin = 5_000;
/** Milliseconds beyond its time that a profile or a trace takes until its first byte is there. */
const spare = 60_000;

const names = { profile: 'profile', trace: 'trace', heap: 'heap snapshot' } as const;

export class Inspections {
  readonly #options: InspectionsOptions;
  readonly #tubes = new Map<number, Tube | null>();

  constructor(options: InspectionsOptions) {
    this.#options = options;
  }

  /**
   * Looks into a worker. Never throws; the content it gives may, and is to be read or destroyed.
   *
   * @param onGone calls back when nobody waits for it any more
   */
  async inspect(worker: Worker, order: Inspection, onGone: (then: () => void) => void): Promise<Inspected> {
    const { id, slot } = worker;
    if (this.#tubes.has(id))
      return refused('busy', `the worker of slot ${slot} is being looked into already: wait for it, or give it up`);
    this.#tubes.set(id, null);
    const say = (text: string): void => this.#options.logger().info(workerFields(worker), text);
    const name = names[order.what];
    let tube: Tube;
    try {
      tube = await Tube.open();
    } catch (error) {
      this.#tubes.delete(id);
      return refused('failed', messageOf(error));
    }
    this.#tubes.set(id, tube);
    // If it is given up, the worker goes on with what it has begun.
    const turns = tube.head.catch(() => this.#options.whenTurns(id));
    if (order.what === 'heap') void turns.then(() => this.#excuse(id, order, 0));
    onGone(() => tube.close('it was given up'));
    say(
      `an operator takes a ${name} of the worker${order.what === 'heap' ? '' : ` for ${order.milliseconds / 1_000} s`}`,
    );
    const result = await this.#take(worker, order, tube);
    if (result.kind === 'refused') {
      this.#over(id, tube);
      say(`there is no ${name} of the worker: ${result.reason}`);
      return result;
    }
    result.content.on('error', () => {});
    result.content.on('close', () => this.#over(id, tube));
    say(`the ${name} of the worker has ${(result.size / 2 ** 20).toFixed(1)} MB`);
    return result;
  }

  /** The worker is gone. */
  forget(id: number): void {
    // What it has sent may still be on its way; if it was not connected yet, nothing is.
    const tube = this.#tubes.get(id);
    if (tube !== undefined && tube !== null) setImmediate(() => tube.closeIfAlone());
  }

  async #take({ id, slot }: Worker, order: Inspection, tube: Tube): Promise<Inspected> {
    const { path, secret } = tube;
    this.#excuse(id, order, heapLimit);
    this.#options.pool.send(id, { type: 'inspect', path, secret, ...order });
    try {
      if ((await atMost(Promise.race([tube.connected, tube.head]), hearsWithin)) === timedOut)
        return refused(
          'silent',
          `the worker of slot ${slot} does not answer: its event loop is blocked; prefork stack ${slot} shows where`,
        );
      const limit = order.what === 'heap' ? heapLimit : order.milliseconds + spare;
      const head = await atMost(tube.head, limit);
      if (head === timedOut) return refused('silent', `the worker of slot ${slot} has not answered in time`);
      if ('error' in head) return refused('failed', `the worker of slot ${slot}: ${head.error}`);
      return { kind: 'taken', ...head, content: tube.content(head.size) };
    } catch (error) {
      return refused('failed', `the worker of slot ${slot}: ${messageOf(error)}`);
    }
  }

  #excuse(id: number, { what }: Inspection, within: number): void {
    if (what === 'heap') this.#options.post({ type: 'workerExcused', id, within });
  }

  #over(id: number, tube: Tube): void {
    tube.close();
    if (this.#tubes.get(id) === tube) this.#tubes.delete(id);
  }
}

function refused(code: 'busy' | 'silent' | 'failed', reason: string): Inspected {
  return { kind: 'refused', code, reason };
}
