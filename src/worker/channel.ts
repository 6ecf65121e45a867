/**
 * The worker's end of what master and worker say to each other. The app never sees what passes here; what it sends to
 * its parent itself is read by nobody.
 */
import { writeSync } from 'node:fs';
import net from 'node:net';
import {
  longTypes,
  type MasterMessage,
  maxLine,
  maxLongLine,
  speechDescriptor,
  unwrap,
  type WorkerMessage,
} from '../protocol/messages.ts';
import { dropSends, type Handle, internalEvent, pairHandles, surviveDisconnect } from '../system/node-internals.ts';
import type { EventFilter } from './process-events.ts';

export interface ChannelObserver {
  onMessage(message: MasterMessage, handle: Handle | null): void;
  /**
   * The master is gone, or the app has cut the channel.
   *
   * @param isMasterThere whether it still reads what is sent
   */
  onClosed(isMasterThere: boolean): void;
}

/** Milliseconds from the end of node:cluster's channel to the end of ours, if the master is gone. */
const pipeEndsWithin = 100;

export class Channel {
  #pipe: net.Socket | null = null;
  #holds = 0;
  #sending = 0;
  #hasBeenUnheard = false;

  /** Begins to take messages. */
  open(events: EventFilter, observer: ChannelObserver): void {
    const closed = (): void => observer.onClosed(this.isOpen);
    const next = pairHandles();
    events.intercept(internalEvent, ([raw]) => {
      const sent = next(raw);
      const inner = unwrap(sent?.message);
      if (inner === null) return false;
      // The master is trusted: it holds all the worker's rights anyway.
      observer.onMessage(inner as MasterMessage, sent?.handle ?? null);
      return true;
    });
    events.intercept('message', ([raw]) => {
      next(raw);
      return false;
    });
    events.intercept('disconnect', () => {
      surviveDisconnect();
      // All that a dying master holds is closed in one go, and the pipe with it: its end says more than this one.
      setTimeout(() => {
        if (this.isOpen) closed();
      }, pipeEndsWithin);
      return false;
    });
    // node:cluster says that this process is online; a master that is gone by then would make it an uncaught error.
    events.intercept('error', ([error]) => isBrokenPipe(error));
    dropSends(() => this.#unheard());
    // Under plain node there is no channel, and so none that keeps a process alive that has nothing left to do.
    process.channel?.unref();
    // It makes the descriptor one that does not block, and sees its end. Nothing ever comes this way.
    const pipe = new net.Socket({ fd: speechDescriptor, readable: true, writable: true });
    pipe.on('error', () => {});
    pipe.on('close', () => {
      this.#pipe = null;
      queueMicrotask(closed);
    });
    pipe.resume();
    pipe.unref();
    this.#pipe = pipe;
  }

  /** Whether the master hears what is sent. */
  get isOpen(): boolean {
    return this.#pipe !== null && !this.#pipe.destroyed;
  }

  /** Whether the master can answer: not once the app has called `process.disconnect()`. */
  get isConnected(): boolean {
    return this.isOpen && process.connected === true;
  }

  /** Messages that were sent and that the kernel has not taken yet. */
  get backlog(): number {
    return this.#sending;
  }

  /** Keeps the process alive while an answer is awaited. */
  hold(): void {
    this.#holds += 1;
    if (this.#holds === 1) this.#pipe?.ref();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds === 0) this.#pipe?.unref();
  }

  /** @param done called once the kernel has the message, or never will have it */
  send(message: WorkerMessage, done?: () => void): void {
    const pipe = this.#pipe;
    const rest = pipe === null || pipe.destroyed ? null : this.#write(pipe, message);
    if (pipe === null || rest === null) {
      if (done !== undefined) process.nextTick(done);
      return;
    }
    this.#sending += 1;
    pipe.write(rest, () => {
      this.#sending -= 1;
      done?.();
    });
  }

  /**
   * Writes at once what the kernel takes: the process may be about to exit.
   *
   * @returns what it did not take, `null` if that is nothing
   */
  #write(pipe: net.Socket, message: WorkerMessage): Buffer | null {
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    // The master would take it for hostile.
    if (line.length > (longTypes.includes(message.type) ? maxLongLine : maxLine)) return null;
    // In order.
    if (this.#sending > 0) return line;
    try {
      const written = writeSync(speechDescriptor, line);
      return written === line.length ? null : line.subarray(written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return line;
      // The master has closed its end, or the app this one.
      pipe.destroy();
      return null;
    }
  }

  #unheard(): void {
    if (this.#hasBeenUnheard) return;
    this.#hasBeenUnheard = true;
    this.send({ type: 'unheard' });
  }
}

function isBrokenPipe(error: unknown): boolean {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  return code === 'EPIPE' && syscall === 'write';
}
