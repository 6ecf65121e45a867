/** Where workers are now, for operators who ask. */
import type { Settings } from '../../config/resolved.ts';
import type { Worker } from '../../core/model.ts';
import { inspectorAsked } from '../../system/inspector-option.ts';
import { monotonic } from '../../system/monotonic.ts';
import { takesSignal } from '../../system/processes.ts';
import { type Capture, withoutStack } from '../stuck/capture.ts';
import type { Stuck } from '../stuck/stuck.ts';

/** Milliseconds for which what was seen is good for everybody who asks: a worker is not to spend its time on it. */
const fresh = 250;
/** Number of SIGUSR1 on Linux. */
const sigusr1 = 10;

interface Seen {
  at: number;
  readonly capture: Promise<Capture>;
}

export class Stacks {
  readonly #stuck: Pick<Stuck, 'look'>;
  readonly #settingsOf: (generation: number) => Settings;
  readonly #seen = new Map<number, Seen>();

  constructor(stuck: Pick<Stuck, 'look'>, settingsOf: (generation: number) => Settings) {
    this.#stuck = stuck;
    this.#settingsOf = settingsOf;
  }

  /** Never throws. */
  take(worker: Worker): Promise<Capture> {
    const { id, pid } = worker;
    const seen = this.#seen.get(id);
    if (seen !== undefined && monotonic() - seen.at < fresh) return seen.capture;
    const refusal = pid === null ? 'it has no process yet' : this.#refusalOf(worker, pid);
    if (refusal !== null || pid === null) return Promise.resolve(withoutStack(refusal ?? ''));
    const now: Seen = { at: Number.POSITIVE_INFINITY, capture: this.#stuck.look(worker, pid) };
    void now.capture.then(() => {
      now.at = monotonic();
    });
    this.#seen.set(id, now);
    return now.capture;
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#seen.delete(id);
  }

  #refusalOf({ generation }: Worker, pid: number): string | null {
    const { env, nodeArgs, captures } = this.#settingsOf(generation);
    if (!captures) return null;
    if (inspectorAsked(nodeArgs, env.NODE_OPTIONS) !== null)
      return 'it was started with an inspector (--inspect), to which a debugger can be attached';
    // Before Node has seen to it, the signal would end the process.
    return process.platform !== 'linux' || takesSignal(pid, sigusr1) ? null : 'it was started just now';
  }
}
