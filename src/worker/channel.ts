/** The worker's end of the IPC channel. The app never sees what passes here; its own messages pass untouched. */
import { type MasterMessage, unwrap, type WorkerMessage, wrap } from '../protocol/messages.ts';
import type { Handle } from '../system/node-internals.ts';
import { surviveDisconnect } from '../system/node-internals.ts';
import type { EventFilter } from './process-events.ts';

export interface ChannelObserver {
  onMessage(message: MasterMessage, handle: Handle | null): void;
  /** The master is gone, or the app has cut the channel. */
  onClosed(): void;
}

export class Channel {
  #holds = 0;
  #sending = 0;

  /** Begins to take messages. */
  open(events: EventFilter, observer: ChannelObserver): void {
    events.intercept('message', ([raw, handle]) => {
      const inner = unwrap(raw);
      if (inner === null) return false;
      // The master is trusted: it holds all the worker's rights anyway.
      observer.onMessage(inner as MasterMessage, (handle as Handle | undefined) ?? null);
      return true;
    });
    events.intercept('disconnect', () => {
      surviveDisconnect();
      queueMicrotask(() => observer.onClosed());
      return false;
    });
    // Node keeps messages back until there is an event listener.
    process.on('message', () => {});
    // Under plain node there is no channel, and so none that keeps a process alive that has nothing left to do.
    process.channel?.unref();
  }

  get isOpen(): boolean {
    return process.connected === true;
  }

  /** Messages that were sent and that the kernel has not taken yet. */
  get backlog(): number {
    return this.#sending;
  }

  /** Keeps the process alive while an answer is awaited. */
  hold(): void {
    this.#holds += 1;
    if (this.#holds === 1) process.channel?.ref();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds === 0) process.channel?.unref();
  }

  /** @param done called once the kernel has the message, or never will have it */
  send(message: WorkerMessage, done?: () => void): void {
    if (!this.isOpen) {
      if (done !== undefined) process.nextTick(done);
      return;
    }
    this.#sending += 1;
    const sent = (): void => {
      this.#sending -= 1;
      done?.();
    };
    // A callback always: a send that fails late would otherwise be an uncaught exception.
    process.send?.(wrap(message), undefined, {}, sent);
  }
}
