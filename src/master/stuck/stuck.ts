/** Explains workers whose event loop is blocked: where they are, and which requests they keep waiting. */
import type { WorkerAbort } from '../../config/hooks.ts';
import { callHook } from '../../config/probe/run.ts';
import type { Settings } from '../../config/resolved.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, Worker } from '../../core/model.ts';
import { statFieldsOf } from '../../system/processes.ts';
import { workerFields } from '../log/line.ts';
import type { Logger } from '../log/logger.ts';
import type { Timeline } from '../log/timeline.ts';
import type { Pool } from '../workers/pool.ts';
import type { Capture } from './capture.ts';

export interface StuckOptions {
  readonly pool: Pool;
  readonly logger: () => Logger;
  readonly timeline: Timeline;
  /** The settings of a generation: where its hooks are. */
  readonly settingsOf: (generation: number) => Settings;
  /** The evidence is in the log, or cannot be had. */
  readonly onCaptured: (id: number) => void;
}

/** Milliseconds; the core waits a little longer. */
const within = 2_500;

export class Stuck {
  readonly #options: StuckOptions;
  /** What was found at those that are killed next. */
  readonly #found = new Map<number, WorkerAbort>();
  /** Two sessions at one inspector would resume each other's pause: the second one shares what the first finds. */
  readonly #taking = new Map<number, Promise<Capture>>();

  constructor(options: StuckOptions) {
    this.#options = options;
  }

  /** Takes and logs the stack of a worker. Never throws. */
  async capture(id: number, fatal: boolean, fleet: Fleet): Promise<void> {
    const { pool, onCaptured } = this.#options;
    const pid = pool.pidOf(id);
    const worker = findWorker(fleet, id);
    if (pid !== null && worker !== undefined) {
      const silentMs = Math.round((worker.capture?.since ?? worker.beatAt) - worker.beatAt);
      const late = this.#taking.get(id);
      let capture = await (late ?? this.#take(id, pid));
      // What was begun for a warning was also begun too early to be the last word.
      if (fatal && late !== undefined && capture.frames.length === 0) capture = await this.#take(id, pid);
      this.#log(capture, fatal, silentMs, worker);
      const { slot, generation } = worker;
      const { frames: stack, requests } = capture;
      if (fatal) this.#found.set(id, { slot, worker: id, generation, pid, blockedMs: silentMs, stack, requests });
    }
    // The core waits for the evidence only before a kill: a warning that is late must not pass for it.
    if (fatal) onCaptured(id);
  }

  /** The worker is killed: the config's hook is told what was found. */
  async aborted(id: number, fleet: Fleet): Promise<void> {
    const worker = findWorker(fleet, id);
    if (worker === undefined) return;
    // The core does not wait for ever: the kill can come before the stack.
    await this.#taking.get(id);
    const found = this.#found.get(id) ?? abortWithoutStack(worker);
    this.#found.delete(id);
    const failure = await callHook(this.#options.settingsOf(found.generation), 'onWorkerAbort', found);
    if (failure !== null)
      this.#options.logger().error({ hook: 'onWorkerAbort' }, `the hook onWorkerAbort failed: ${failure}`);
  }

  #take(id: number, pid: number): Promise<Capture> {
    const taking = this.#begin(id, pid).finally(() => this.#taking.delete(id));
    this.#taking.set(id, taking);
    return taking;
  }

  async #begin(id: number, pid: number): Promise<Capture> {
    // Only needed when something is wrong: most masters never spend memory on it.
    const { captureStack, withoutStack } = await import('./capture.ts');
    if (isStopped(pid)) return withoutStack('the process is stopped (SIGSTOP)');
    return captureStack(pid, () => this.#options.pool.signal(id, 'SIGUSR1'), within);
  }

  #log({ frames, requests, isOwnWork, problem }: Capture, fatal: boolean, silentMs: number, worker: Worker): void {
    const [oldest] = [...requests].sort((a, b) => b.age - a.age);
    const serving = (url: (full: string) => string) =>
      oldest === undefined
        ? ''
        : `, serving ${oldest.method} ${url(oldest.url)} for ${(oldest.age / 1000).toFixed(1)} s`;
    // It ran again when it was looked at.
    if (!fatal && isOwnWork) return;
    const place = frames[0] === undefined ? `where is not known: ${problem ?? 'it runs no JavaScript'}` : frames[0];
    const message = `worker's event loop is blocked for ${(silentMs / 1000).toFixed(1)} s ${place}`;
    const level = fatal ? 'error' : 'warn';
    const { logger, timeline } = this.#options;
    const fields = { ...workerFields(worker), blockedMs: silentMs, stack: frames, requests };
    logger()[level](fields, `${message}${serving((url) => url)}`);
    // More people see the timeline than the log, and what is behind the question mark may be a secret.
    const text = `${message}${serving((url) => url.replace(/[?#].*/s, ''))}`;
    timeline.add({ kind: 'stuck', level, text, worker, stack: frames });
  }
}

function abortWithoutStack({ slot, id, generation, pid, phase, beatAt }: Worker): WorkerAbort {
  const blockedMs = Math.round(phase.since - beatAt);
  return { slot, worker: id, generation, pid: pid ?? 0, blockedMs, stack: [], requests: [] };
}

/** A stopped process answers nothing; asking it would only cost time. */
function isStopped(pid: number): boolean {
  return /^[Tt]/.test(statFieldsOf(pid)?.[0] ?? '');
}
