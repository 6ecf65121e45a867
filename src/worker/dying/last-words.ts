/**
 * What a worker says when it is about to end by itself: who ended it, and what it had not answered. It is written at once,
 * for there is no later. What ends it from outside leaves no time: then the master knows what the last heartbeat said.
 */
import type { DyingMessage } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';
import type { EventFilter } from '../process-events.ts';
import { takeStack } from '../stack.ts';
import type { InFlight } from '../traffic/in-flight.ts';
import { appFrame, frameOf } from './app-frame.ts';
import { describeThrown } from './thrown.ts';

const maxRequests = 20;
const maxName = 100;
const maxMessage = 500;
/** Some packages emit `exit` themselves, and go on. */
const mostTold = 5;
/** Milliseconds after which an error that was caught has nothing to do with the end. */
const caughtFor = 10_000;

/** An error that a handler of the app has caught: what it does next is often to end the process. */
export interface Caught {
  readonly error: unknown;
  /** Of `performance.now()`. */
  readonly at: number;
}

export interface LastWordsParts {
  readonly channel: Channel;
  readonly inFlight: InFlight;
  /** Whether the end is prefork's own doing, or its reason was told already. */
  readonly isExplained: () => boolean;
  readonly caught: () => Caught | null;
}

export class LastWords {
  readonly #parts: LastWordsParts;
  readonly #cwd = process.cwd();
  #told = 0;

  constructor(parts: LastWordsParts) {
    this.#parts = parts;
  }

  start(events: EventFilter): void {
    events.intercept('exit', () => {
      this.#tell(process.emit, null);
      return false;
    });
    this.#watchAbort();
  }

  /** V8 says nothing when it is told to abort, and out of memory looks the same from outside. */
  #watchAbort(): void {
    const own = Object.getOwnPropertyDescriptor(process, 'abort');
    const { abort: before } = process;
    const tell = (above: () => never): void => this.#tell(above, 'abort');
    function abort(): never {
      tell(abort);
      return Reflect.apply(before, process, []) as never;
    }
    if (own?.configurable === true) Object.defineProperty(process, 'abort', { ...own, value: abort });
  }

  #tell(above: (...args: never[]) => unknown, how: 'abort' | null): void {
    const { channel, inFlight, isExplained, caught } = this.#parts;
    if (this.#told >= mostTold || isExplained()) return;
    this.#told += 1;
    try {
      const { frames } = takeStack(above);
      const called = frames.findIndex((frame) => exitCall.test(frame));
      const after = caught();
      channel.send({
        type: 'dying',
        how: how ?? (called >= 0 ? 'exit' : 'end'),
        caller: appFrame(frames.slice(called + 1), this.#cwd),
        after: after !== null && performance.now() - after.at < caughtFor ? this.#describe(after.error) : null,
        requests: inFlight.oldest(maxRequests),
        inFlight: inFlight.count(),
      });
    } catch {
      // Nothing may keep it from ending.
    }
  }

  #describe(error: unknown): DyingMessage['after'] {
    const { name, message, because } = describeThrown(error);
    return {
      name: name.slice(0, maxName),
      message: message.slice(0, maxMessage),
      because,
      frame: frameOf(error, this.#cwd),
    };
  }
}

/** The frame of `process.exit()`. */
const exitCall = /^at (?:process\.)?exit \(node:internal\/process\//;
