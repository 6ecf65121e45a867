/** The requests in flight, as workers tell of them when somebody looks; nobody is asked otherwise. */
import type { Worker } from '../../core/model.ts';
import type { WorkerMessage } from '../../protocol/messages.ts';
import type { ReportedRequest } from '../../protocol/request.ts';
import { mostRequests } from '../../protocol/requests.ts';
import { monotonic } from '../../system/monotonic.ts';
import { timedOut, within } from '../../system/within.ts';
import type { Pool } from '../workers/pool.ts';

/** What a worker has told, and when, of the monotonic clock. */
export interface Told {
  readonly at: number;
  readonly total: number;
  readonly requests: readonly ReportedRequest[];
}

interface Question {
  readonly seq: number;
  readonly answer: Promise<Told>;
  readonly settle: (told: Told) => void;
}

/** Milliseconds for which an answer is good for everybody who asks. */
const fresh = 250;
/** Milliseconds that a worker whose event loop turns may take. */
const patience = 750;

export class InFlight {
  readonly #pool: Pick<Pool, 'send'>;
  readonly #told = new Map<number, Told>();
  /** One at a time for each worker: one that is blocked reads none, and they would pile up. */
  readonly #open = new Map<number, Question>();
  #seq = 0;

  constructor(pool: Pick<Pool, 'send'>) {
    this.#pool = pool;
  }

  /** @returns what a worker tells now; `null` if it does not answer */
  async ask({ id }: Worker): Promise<Told | null> {
    const told = this.#told.get(id);
    if (told !== undefined && monotonic() - told.at < fresh) return told;
    const { answer } = this.#open.get(id) ?? this.#question(id);
    const found = await within(answer, patience, { ref: true });
    return found === timedOut ? null : found;
  }

  /** Settles when the worker's event loop has turned; never if the worker is gone. */
  async heard(id: number): Promise<void> {
    await (this.#open.get(id) ?? this.#question(id)).answer;
  }

  /** What was seen of a worker in another way. */
  seen(requests: readonly ReportedRequest[]): Told {
    return { at: monotonic(), total: requests.length, requests };
  }

  /** What it told last, whenever that was. */
  last(id: number): Told | null {
    return this.#told.get(id) ?? null;
  }

  onMessage(id: number, { seq, total, requests }: Extract<WorkerMessage, { type: 'requests' }>): void {
    const question = this.#open.get(id);
    // It may say so unasked.
    if (question?.seq !== seq) return;
    const told = { at: monotonic(), total: Math.max(total, requests.length), requests };
    this.#open.delete(id);
    this.#told.set(id, told);
    question.settle(told);
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#open.delete(id);
    this.#told.delete(id);
  }

  #question(id: number): Question {
    this.#seq += 1;
    const { promise, resolve } = withResolvers<Told>();
    const question = { seq: this.#seq, answer: promise, settle: resolve };
    this.#open.set(id, question);
    this.#pool.send(id, { type: 'ask-requests', seq: this.#seq, most: mostRequests });
    return question;
  }
}

function withResolvers<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
