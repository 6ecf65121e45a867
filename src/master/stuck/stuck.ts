/** Explains workers whose event loop is blocked: where they are, and which requests they keep waiting. */
import type { WorkerAbort } from '../../config/hooks.ts';
import { callHook } from '../../config/probe/run.ts';
import type { Settings } from '../../config/resolved.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, Worker } from '../../core/model.ts';
import type { StackMessage } from '../../protocol/messages.ts';
import { idsOf } from '../../protocol/request.ts';
import { withoutQuery } from '../../protocol/requests.ts';
import { workerFields } from '../log/line.ts';
import type { Logger } from '../log/logger.ts';
import type { Timeline } from '../log/timeline.ts';
import type { Pool } from '../workers/pool.ts';
import { type Capture, Captures, withoutStack } from './capture.ts';
import { headlineOf } from './headline.ts';

export interface StuckOptions {
  readonly pool: Pool;
  readonly logger: () => Logger;
  readonly timeline: Timeline;
  /** The settings of a generation: where its hooks are. */
  readonly settingsOf: (generation: number) => Settings;
  /** The evidence is in the log, or cannot be had. */
  readonly onCaptured: (id: number) => void;
}

/** Milliseconds; the core waits a little longer. On a busy machine even an answer takes a while. */
const within = 2_500;

export class Stuck {
  readonly #options: StuckOptions;
  /** What was found at those that are killed next. */
  readonly #found = new Map<number, WorkerAbort>();
  readonly #captures = new Captures();
  /** A worker is asked one thing at a time: who asks second shares what the first finds. */
  readonly #taking = new Map<number, Promise<Capture>>();

  constructor(options: StuckOptions) {
    this.#options = options;
  }

  /** Takes and logs the stack of a worker. Never throws. */
  async capture(id: number, fatal: boolean, fleet: Fleet): Promise<void> {
    const { pool, onCaptured } = this.#options;
    // Who had recovered when it was looked at was not killed.
    for (const known of this.#found.keys()) if (findWorker(fleet, known) === undefined) this.#found.delete(known);
    const pid = pool.pidOf(id);
    const worker = findWorker(fleet, id);
    if (pid !== null && worker !== undefined) {
      const silentMs = Math.round((worker.capture?.since ?? worker.beatAt) - worker.beatAt);
      const late = this.#taking.get(id);
      let capture = await (late ?? this.#take(worker, pid));
      // What was begun for a warning was also begun too early to be the last word.
      if (fatal && late !== undefined && capture.frames.length === 0) capture = await this.#take(worker, pid);
      // One that has died meanwhile has its exit in the log, and no answer is no news after it.
      const isPast = capture.frames.length === 0 && pool.pidOf(id) === null;
      if (!isPast) this.#log(capture, fatal, silentMs, worker);
      const { slot, generation } = worker;
      const { frames: stack, requests } = capture;
      if (fatal && worker.phase.name !== 'booting')
        this.#found.set(id, { slot, worker: id, generation, pid, blockedMs: silentMs, stack, requests });
    }
    // The core waits for the evidence only before a kill: a warning that is late must not pass for it.
    if (fatal) onCaptured(id);
  }

  /** Where a worker is now, for an operator who asks: nothing is logged of it. Never throws. */
  look(worker: Worker, pid: number): Promise<Capture> {
    return this.#taking.get(worker.id) ?? this.#take(worker, pid);
  }

  /** The worker is killed: the config's hook is told what was found. */
  async aborted(id: number, fleet: Fleet): Promise<void> {
    const worker = findWorker(fleet, id);
    if (worker === undefined) return;
    // The core does not wait for ever: the kill can come before the stack.
    await this.#taking.get(id);
    const found = this.#found.get(id) ?? abortWithoutStack(worker);
    this.#found.delete(id);
    const { settingsOf, logger } = this.#options;
    const print = (line: string): void => logger().info({ hook: 'onWorkerAbort' }, `hook onWorkerAbort: ${line}`);
    const failure = await callHook(settingsOf(found.generation), 'onWorkerAbort', found, print);
    if (failure !== null) logger().error({ hook: 'onWorkerAbort' }, `the hook onWorkerAbort failed: ${failure}`);
  }

  /** What a worker says; it may say so unasked. */
  onStack(id: number, message: StackMessage): void {
    this.#captures.onMessage(id, message);
  }

  /** The worker's app takes the signal by which it would be asked. */
  onMute(id: number): void {
    this.#captures.onMute(id);
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#captures.forget(id);
  }

  #take(worker: Worker, pid: number): Promise<Capture> {
    const { id } = worker;
    const taking = this.#begin(worker, pid).finally(() => this.#taking.delete(id));
    this.#taking.set(id, taking);
    return taking;
  }

  async #begin(worker: Worker, pid: number): Promise<Capture> {
    const { id, generation } = worker;
    if (!this.#options.settingsOf(generation).captures) return withoutStack('captures is off');
    if (process.platform !== 'linux') return withoutStack('it is found out on Linux only');
    const ask = (): void => this.#options.pool.signal(id, 'SIGUSR1');
    return this.#captures.take(id, pid, ask, within, (late) => this.#logLate(late, worker));
  }

  /** What was not known when the worker was reported: it was in a native call, which has ended. */
  #logLate({ frames, isOwnWork, requests }: Capture, worker: Worker): void {
    if (frames.length === 0 || isOwnWork) return;
    const message = `worker's event loop was blocked ${headlineOf(frames)}`;
    const { logger, timeline } = this.#options;
    logger().warn({ ...workerFields(worker), stack: frames, requests }, message);
    timeline.add({ kind: 'stuck', level: 'warn', text: message, worker, stack: frames });
  }

  #log(capture: Capture, fatal: boolean, silentMs: number, worker: Worker): void {
    const { frames, requests, isOwnWork } = capture;
    const [oldest] = [...requests].sort((a, b) => b.age - a.age);
    const serving = (url: (full: string) => string) =>
      oldest === undefined
        ? ''
        : `, serving ${oldest.method} ${url(oldest.url)} for ${(oldest.age / 1000).toFixed(1)} s${idsOf(oldest)}`;
    // It ran again when it was looked at.
    if (!fatal && isOwnWork) return;
    const message = worker.phase.name === 'booting' ? aboutBoot(capture, worker) : aboutBlock(capture, silentMs);
    const level = fatal ? 'error' : 'warn';
    const { logger, timeline } = this.#options;
    const fields = { ...workerFields(worker), blockedMs: silentMs, stack: frames, requests };
    logger()[level](fields, `${message}${serving((url) => url)}`);
    // More people see the timeline than the log, and what is behind the question mark may be a secret.
    const text = `${message}${serving(withoutQuery)}`;
    timeline.add({ kind: 'stuck', level, text, worker, stack: frames });
  }
}

function aboutBlock({ frames, waitsFor, problem }: Capture, silentMs: number): string {
  const unknown = waitsFor === null ? problem : 'it turns again';
  const place = frames.length === 0 ? `where is not known: ${unknown}` : headlineOf(frames);
  return `worker's event loop is blocked for ${(silentMs / 1000).toFixed(1)} s ${place}`;
}

/** Of one that is not ready within bootTimeout. */
function aboutBoot({ frames, waitsFor, problem }: Capture, { hindrance, listening }: Worker): string {
  const beginning = 'worker does not become ready:';
  if (frames.length > 0) return `${beginning} its event loop is blocked ${headlineOf(frames)}`;
  if (waitsFor === null) return `${beginning} where it is is not known: ${problem}`;
  const lack = hindrance ?? (listening ? 'it listens, but its start is not over' : 'it has not come to listen');
  const resources = waitsFor.length === 0 ? 'nothing that Node knows of' : countEach(waitsFor);
  return `${beginning} its event loop turns, but ${lack}; it waits for ${resources}`;
}

/** `2 Timeout, TCPSocketWrap` */
function countEach(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${count} ${name}`)).join(', ');
}

function abortWithoutStack({ slot, id, generation, pid, phase, beatAt }: Worker): WorkerAbort {
  const blockedMs = Math.round(phase.since - beatAt);
  return { slot, worker: id, generation, pid: pid ?? 0, blockedMs, stack: [], requests: [] };
}
