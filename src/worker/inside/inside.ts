/**
 * What operators see of a running worker: its requests, a profile, a trace, its heap. Nothing of it costs anything until it
 * is asked for.
 */
import { messageOf } from '../../errors.ts';
import type { MasterMessage } from '../../protocol/messages.ts';
import { mostRequests } from '../../protocol/requests.ts';
import { pause } from '../../system/pause.ts';
import { within } from '../../system/within.ts';
import type { Channel } from '../channel.ts';
import type { InFlight } from '../traffic/in-flight.ts';
import { heapRefusal, takeHeap } from './heap.ts';
import { takeProfile } from './profile.ts';
import { takeTrace } from './trace.ts';
import { Tube } from './tube.ts';

type Order = Extract<MasterMessage, { type: 'inspect' }>;

export interface InsideParts {
  readonly channel: Channel;
  readonly inFlight: InFlight;
  /** Leaves new connections to other workers, if there are any, or takes them again. */
  readonly hold: (isOn: boolean) => void;
}

/** Milliseconds before a heap snapshot: idle connections go to others, and what is in flight ends. */
const settling = { atLeast: 200, atMost: 3_000, lookEvery: 20 } as const;

export class Inside {
  readonly #parts: InsideParts;
  #tube: Tube | null = null;
  /** Ends what takes its time. */
  #hurry: () => void = () => {};
  #isLeaving = false;

  constructor(parts: InsideParts) {
    this.#parts = parts;
  }

  tell({ seq, most }: Extract<MasterMessage, { type: 'ask-requests' }>): void {
    const { channel, inFlight } = this.#parts;
    const requests = inFlight.oldest(Math.min(most, mostRequests));
    channel.send({ type: 'requests', seq, total: inFlight.count(), requests });
  }

  inspect(order: Order): void {
    const tube = new Tube(order.path, order.secret);
    if (this.#tube?.isClosed === false) {
      tube.refuse('it is being looked into already');
      return;
    }
    this.#tube = tube;
    this.#look(order, tube).catch((error: unknown) => tube.refuse(messageOf(error)));
  }

  /** The worker leaves: what was begun ends early, and is sent. */
  leaving(): void {
    this.#isLeaving = true;
    this.#hurry();
  }

  /** Waits until all is sent. @param end of `performance.now()` */
  async finish(end: number): Promise<void> {
    const tube = this.#tube;
    if (tube === null || tube.isClosed) return;
    await within(tube.closed, end - performance.now(), { ref: true });
    tube.cut();
  }

  async #look(order: Order, tube: Tube): Promise<void> {
    const beganAt = performance.now();
    switch (order.what) {
      case 'profile': {
        const profile = await takeProfile(order.milliseconds, (time) => this.#wait(time, tube));
        return tube.send(profile, profile.length, this.#noteSince(beganAt, order.milliseconds));
      }
      case 'trace': {
        const { text, isFull } = await takeTrace(order.milliseconds, (time, full) => this.#wait(time, tube, full));
        const note = isFull ? 'there was more than is kept: it ends early' : null;
        return tube.send(text, text.length, note ?? this.#noteSince(beganAt, order.milliseconds));
      }
      case 'heap': {
        const refusal = heapRefusal();
        if (refusal !== null) return tube.refuse(refusal);
        this.#parts.hold(true);
        try {
          await this.#settle(tube);
          if (tube.isClosed) return;
          const { size, content } = takeHeap();
          return tube.send(content, size, null);
        } finally {
          this.#parts.hold(false);
        }
      }
    }
  }

  /** Until the time is up, or the worker leaves, or nobody waits for it any more. */
  async #wait(milliseconds: number, tube: Tube, full: Promise<void> = new Promise(() => {})): Promise<void> {
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve;
    });
    if (this.#isLeaving) return;
    await within(Promise.race([hurried, tube.closed, full]), milliseconds);
  }

  async #settle(tube: Tube): Promise<void> {
    const beganAt = performance.now();
    for (;;) {
      const waited = performance.now() - beganAt;
      const isQuiet = waited >= settling.atLeast && this.#parts.inFlight.count() === 0;
      if (isQuiet || tube.isClosed || waited >= settling.atMost) return;
      await pause(settling.lookEvery, { ref: false });
    }
  }

  #noteSince(beganAt: number, wanted: number): string | null {
    const taken = performance.now() - beganAt;
    return this.#isLeaving && taken < wanted
      ? `the worker was told to leave: it covers ${(taken / 1_000).toFixed(1)} s`
      : null;
  }
}
