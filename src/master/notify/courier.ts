/**
 * Has events told, one after the other, by a process beside the master: it is started for the first event, and anew if it
 * ends or hangs. Whatever becomes of it, the master neither waits nor fails, and what waits is bounded.
 */
import type { Settings } from '../../config/resolved.ts';
import type { ServiceEvent } from '../../config/service-event.ts';
import { shorten } from '../../config/show.ts';
import type { NotifyAnswer, NotifyTask } from '../../notify/messages.ts';
import { monotonic } from '../../system/monotonic.ts';
import { within } from '../../system/within.ts';
import type { Logger } from '../log/logger.ts';
import { Listener, type ListenerOptions } from './listener.ts';

/** Events that wait. */
const maxWaiting = 1_000;
/** Milliseconds before another process is started, after so many in a row that have ended or hung. */
const restartDelay = (failures: number): number => Math.min(30_000, 1_000 * 2 ** Math.min(failures - 1, 10));
/** Milliseconds in which the same kind of failure is logged once. */
const sayAgainAfter = 10_000;
const maxReason = 400;

export interface Target {
  readonly task: NotifyTask;
  readonly settings: ListenerOptions['settings'] & Pick<Settings, 'name'>;
}

export interface CourierOptions {
  /** The setting: what lines of the log begin with. */
  readonly name: 'on' | 'webhook';
  /** Milliseconds that one event may take. */
  readonly patience: number;
  /** Whether an event is told once more if the process ended in the middle of it. */
  readonly repeats: boolean;
  readonly logger: () => Logger;
  /** For tests. */
  readonly start?: (options: ListenerOptions) => Pick<Listener, 'send' | 'end'>;
}

export class Courier {
  readonly #options: CourierOptions;
  readonly #waiting: ServiceEvent[] = [];
  #target: Target | null = null;
  /** For which the process was started. */
  #startedFor: Target | null = null;
  #listener: Pick<Listener, 'send' | 'end'> | null = null;
  #current: { readonly event: ServiceEvent; readonly timer: NodeJS.Timeout } | null = null;
  #repeated: ServiceEvent | null = null;
  #failures = 0;
  #notBefore = 0;
  #restart: NodeJS.Timeout | null = null;
  #left = 0;
  #saidAt = Number.NEGATIVE_INFINITY;
  #unsaid = 0;
  #isFinishing = false;
  #onIdle: (() => void) | null = null;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Whether anybody is told. */
  get isOn(): boolean {
    return this.#target !== null;
  }

  /** From the next event on it is told so; `null` is nobody. */
  use(target: Target | null): void {
    this.#target = target;
    // A fix does not wait for the backoff of what it fixes.
    this.#failures = 0;
    this.#notBefore = 0;
    if (target === null) this.#waiting.length = 0;
    if (this.#current === null) this.#endStale();
    this.#pump();
  }

  deliver(event: ServiceEvent): void {
    if (this.#target === null) return;
    if (this.#waiting.length >= maxWaiting) {
      this.#waiting.shift();
      if (this.#left === 0)
        this.#log('warn', `more than ${maxWaiting} events wait to be told; the oldest are left out`);
      this.#left += 1;
    }
    this.#waiting.push(event);
    this.#pump();
  }

  /** The master ends: what waits may take so long, and then nobody is told any more. @param limit milliseconds */
  async finish(limit: number): Promise<void> {
    this.#isFinishing = true;
    this.#notBefore = 0;
    this.#pump();
    if (this.#current !== null || this.#waiting.length > 0) {
      await within(new Promise<void>((resolve) => (this.#onIdle = resolve)), limit, { ref: true });
      const left = this.#waiting.length + (this.#current === null ? 0 : 1);
      if (left > 0) this.#log('warn', `${left} events were not told before the end`);
    }
    this.#sayRest();
    this.#target = null;
    this.#drop();
  }

  #pump(): void {
    if (this.#current !== null) return;
    const target = this.#target;
    if (target === null || this.#waiting.length === 0) {
      this.#onIdle?.();
      return;
    }
    const delay = this.#notBefore - monotonic();
    if (delay > 0) {
      this.#restart ??= setTimeout(() => {
        this.#restart = null;
        this.#pump();
      }, delay);
      return;
    }
    const event = this.#waiting.shift();
    if (event === undefined) return;
    const timer = setTimeout(
      () => this.#lost(`took longer than ${this.#options.patience / 1_000} s`),
      this.#options.patience,
    );
    timer.unref();
    this.#current = { event, timer };
    this.#listener ??= this.#start(target);
    this.#listener.send(event);
    if (this.#left > 0 && this.#waiting.length === 0) {
      this.#log('warn', `${this.#left} events were left out`);
      this.#left = 0;
    }
  }

  #start(target: Target): Pick<Listener, 'send' | 'end'> {
    const { name, logger, start = (options) => new Listener(options) } = this.#options;
    this.#startedFor = target;
    return start({
      task: target.task,
      settings: target.settings,
      onPrinted: (line) => logger().info({ hook: name }, `${name}: ${line}`),
      onAnswer: (answer) => this.#onAnswer(answer),
      onGone: (how) => this.#onGone(how),
    });
  }

  #onAnswer({ id, failure }: NotifyAnswer): boolean {
    if (this.#current === null || this.#current.event.id !== id) return false;
    const { event, timer } = this.#current;
    clearTimeout(timer);
    this.#current = null;
    this.#failures = 0;
    if (failure !== null) this.#complain(`failed: ${shorten(failure, maxReason)}`, event);
    this.#endStale();
    this.#pump();
    return true;
  }

  /** It has ended by itself. */
  #onGone(how: string): void {
    this.#listener = null;
    if (this.#current !== null) this.#lost(`its process ${how}`);
    // The next event starts another; what the hook has kept in its variables, or had still to do, is lost.
    else this.#complain(`its process ${how} between two events`, null);
  }

  /** The event of the moment has come to nothing, and the process with it. */
  #lost(why: string): void {
    if (this.#current === null) return;
    const { event, timer } = this.#current;
    clearTimeout(timer);
    this.#current = null;
    this.#drop();
    this.#failures += 1;
    if (!this.#isFinishing) this.#notBefore = monotonic() + restartDelay(this.#failures);
    if (this.#options.repeats && this.#repeated !== event) {
      this.#repeated = event;
      this.#waiting.unshift(event);
    } else this.#complain(why, event);
    this.#pump();
  }

  /** The configuration has changed: the next event is for another process. */
  #endStale(): void {
    if (this.#startedFor !== this.#target) this.#drop();
  }

  #drop(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
    this.#listener?.end();
    this.#listener = null;
    if (this.#current !== null) clearTimeout(this.#current.timer);
    this.#current = null;
  }

  /** A hook that always fails does not fill the log. */
  #complain(why: string, event: ServiceEvent | null): void {
    const now = monotonic();
    if (now - this.#saidAt < sayAgainAfter) {
      this.#unsaid += 1;
      return;
    }
    this.#sayRest();
    this.#saidAt = now;
    const { name, logger } = this.#options;
    if (event === null) logger().error({ hook: name }, `${name}: ${why}`);
    else logger().error({ hook: name, event: event.id }, `${name}, event ${event.type}: ${why}`);
  }

  #sayRest(): void {
    if (this.#unsaid > 0) this.#log('error', `${this.#unsaid} more events failed`);
    this.#unsaid = 0;
  }

  #log(level: 'warn' | 'error', text: string): void {
    this.#options.logger()[level]({ hook: this.#options.name }, `${this.#options.name}: ${text}`);
  }
}
