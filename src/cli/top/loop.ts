/** The loop of `prefork top`: asks once a second, draws, does what the keys say, and restores the terminal at the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadStream, WriteStream } from 'node:tty';
import { messageOf } from '../../errors.ts';
import { plain } from '../../system/plain.ts';
import { scaleText } from '../check-answers.ts';
import { call } from '../client.ts';
import { frame, pageOf } from './frame.ts';
import { type Answers, askAll, askNow, askStatus, isAbsence } from './poll.ts';
import { answered, type Effect, initialState, pressed, type State, withMessage } from './state.ts';
import { paint } from './style.ts';
import { Terminal } from './terminal.ts';

export type Ended =
  | { readonly kind: 'done'; readonly exitStatus: number }
  | { readonly kind: 'gone'; readonly reason: string };

/** Milliseconds between two questions. */
const every = 1_000;
/** The timeline is asked for with every third question only: it can be long, and the master writes it each time. */
const timelineEvery = 3;
/** Milliseconds without a listener until the service counts as gone: a new master takes over in less. */
const grace = 3_000;
/** Milliseconds between two attempts to find it meanwhile. */
const retryEvery = 200;
/** Milliseconds that requests under way are given after a quit. */
const farewell = 1_000;
/** Keys that may wait for the service: a key that is held down does not steer it for minutes. */
const maxWaiting = 10;

/** Signals that end it, with the status a shell would report. */
const deadly = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;

export class TopLoop {
  readonly #find: () => Promise<string>;
  readonly #terminal: Terminal;
  readonly #colour: boolean;
  readonly #over = new AbortController();
  #socket = '';
  #state: State | null = null;
  #end: (ended: Ended) => void = () => {};
  /** Wakes the loop before its time. */
  #wake: () => void = () => {};
  #actions: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(find: () => Promise<string>, input: ReadStream, output: WriteStream, colour: boolean) {
    this.#find = find;
    this.#colour = colour;
    this.#terminal = new Terminal(input, output, {
      onKey: (key) => this.#press(key),
      onResize: () => this.#draw(),
      onLost: () => this.#end({ kind: 'done', exitStatus: 1 }),
    });
  }

  /** @throws ControlError if there is no service to begin with */
  async run(): Promise<Ended> {
    this.#socket = await this.#find();
    const { status, entries, inFlight } = await askAll(this.#socket);
    this.#state = initialState(status, entries, inFlight);
    const ending = new Promise<Ended>((resolve) => {
      this.#end = resolve;
    });
    const listeners = Object.entries(deadly).map(([name, exitStatus]) => {
      const listener = (): void => this.#end({ kind: 'done', exitStatus });
      process.on(name, listener);
      return [name, listener] as const;
    });
    process.on('SIGTSTP', this.#suspend);
    process.on('SIGCONT', this.#resume);
    try {
      this.#terminal.open();
      this.#draw();
      return await Promise.race([ending, this.#watch()]);
    } finally {
      this.#terminal.close();
      process.off('SIGTSTP', this.#suspend);
      process.off('SIGCONT', this.#resume);
      await Promise.race([this.#actions, sleep(farewell, undefined, { ref: false })]);
      this.#over.abort();
      for (const [name, listener] of listeners) process.off(name, listener);
    }
  }

  /** @returns when the service is gone, or when it is over */
  async #watch(): Promise<Ended> {
    let entriesAge = 0;
    for (;;) {
      await this.#pause(every);
      entriesAge += 1;
      const isTimeForAll = entriesAge >= timelineEvery;
      const found = await this.#look(isTimeForAll);
      if (typeof found === 'string') return { kind: 'gone', reason: this.#farewell(found) };
      if (isTimeForAll) entriesAge = 0;
      if (found !== null && this.#state !== null)
        this.#change(answered(this.#state, found.status, found.entries, found.inFlight));
    }
  }

  /** @returns the answers; `null` if the service is there but does not answer; a reason if it is gone */
  async #look(all: boolean): Promise<Answers | string | null> {
    const deadline = performance.now() + grace;
    for (;;) {
      const { signal } = this.#over;
      try {
        if (all) return await askAll(this.#socket, signal);
        return { ...(await askNow(this.#socket, signal)), entries: this.#state?.entries ?? [] };
      } catch (error) {
        if (signal.aborted) return null;
        const reason = messageOf(error);
        if (!isAbsence(error)) {
          this.#silent(`${reason}; trying again`);
          return null;
        }
        if (performance.now() >= deadline) return reason;
        this.#silent(`${reason}; looking for it`);
        await sleep(retryEvery, undefined, { signal }).catch(() => {});
        await this.#follow();
      }
    }
  }

  #farewell(reason: string): string {
    const name = this.#state === null ? '' : plain(this.#state.status.name);
    return this.#state?.status.state === 'stopping' ? `${name} has stopped` : `${name} is gone: ${reason}`;
  }

  /** Finds a master that took over under another path; another service is not taken for it. */
  async #follow(): Promise<void> {
    try {
      const socket = await this.#find();
      if (socket === this.#socket) return;
      const { name } = await askStatus(socket, this.#over.signal);
      if (name === this.#state?.status.name) this.#socket = socket;
    } catch {
      // Not found now; it is looked for again.
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const signal = AbortSignal.any([woken.signal, this.#over.signal]);
    await sleep(milliseconds, undefined, { signal }).catch(() => {});
    // It is over, and the end was reported already: waits for ever.
    if (this.#over.signal.aborted) await new Promise(() => {});
  }

  #press(key: string): void {
    if (this.#state === null) return;
    const { columns, rows } = this.#terminal;
    const [state, effect] = pressed(this.#state, key, { columns, page: pageOf(this.#state, rows) });
    this.#change(state);
    this.#do(effect);
  }

  #do(effect: Effect): void {
    switch (effect.type) {
      case 'none':
        break;
      case 'quit':
        this.#end({ kind: 'done', exitStatus: 0 });
        break;
      case 'suspend':
        // As the terminal would have done with this key: to all of the job.
        process.kill(0, 'SIGTSTP');
        break;
      case 'redraw':
        this.#terminal.clear();
        this.#draw();
        break;
      case 'reload':
        this.#ask('/reload', {}, () => 'reload asked for');
        break;
      case 'recycle':
        this.#ask('/recycle', { slot: effect.slot }, () => `the worker of slot ${effect.slot} is being replaced`);
        break;
      case 'scale':
        this.#ask('/scale', { by: effect.by }, (answer) => scaleText(answer, this.#socket));
        break;
    }
  }

  /** One after the other: each `+` counts from what the one before has made. */
  #ask(path: string, body: Readonly<Record<string, unknown>>, done: (answer: Record<string, unknown>) => string): void {
    if (this.#waiting >= maxWaiting) {
      this.#say('the service has not answered yet', true);
      return;
    }
    this.#waiting += 1;
    this.#actions = this.#actions.then(async () => {
      try {
        const answer = await call<Record<string, unknown>>(this.#socket, 'POST', path, body, this.#over.signal);
        this.#say(done(answer), false);
      } catch (error) {
        this.#say(messageOf(error), true);
      }
      this.#waiting -= 1;
      this.#wake();
    });
  }

  #say(text: string, bad: boolean): void {
    if (this.#state !== null) this.#change(withMessage(this.#state, text, bad));
  }

  #silent(silence: string): void {
    if (this.#state !== null && !this.#over.signal.aborted) this.#change({ ...this.#state, silence });
  }

  #change(state: State): void {
    this.#state = state;
    this.#draw();
  }

  #draw(): void {
    if (this.#state === null) return;
    const { columns, rows } = this.#terminal;
    this.#terminal.draw(frame(this.#state, columns, rows).map((line) => paint(line, this.#colour)));
  }

  readonly #suspend = (): void => {
    this.#terminal.close();
    process.kill(process.pid, 'SIGSTOP');
  };

  /** The shell has had the terminal since this process was stopped. */
  readonly #resume = (): void => {
    this.#terminal.close();
    this.#terminal.open();
    this.#draw();
  };
}
