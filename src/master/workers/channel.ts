/**
 * The master's end of what master and worker say to each other. The worker speaks over a plain pipe; the IPC channel,
 * over which sockets can be sent, is only written (docs/decisions/0020).
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { type MasterMessage, speechDescriptor, type WorkerMessage, wrap } from '../../protocol/messages.ts';
import { monotonic } from '../../system/monotonic.ts';
import { type Handle, muteChannel, sendUnacknowledged } from '../../system/node-internals.ts';
import { Speech } from './speech.ts';

/** Messages that wait for a worker which does not read, beyond what the kernel keeps for it. */
const maxWaiting = 1_000;

export interface WorkerChannelObserver {
  onMessage(message: WorkerMessage): void;
  /** It breaks the protocol; told once, and nothing it says counts after it. */
  onOffence(reason: string): void;
}

interface Waiting {
  readonly message: MasterMessage;
  readonly handle: Handle | undefined;
}

export class WorkerChannel {
  readonly #child: ChildProcess;
  readonly #observer: WorkerChannelObserver;
  readonly #pipe: Socket | null;
  readonly #speech: Speech;
  #waiting: Waiting[] = [];
  #isWriting = false;
  #isOver = false;
  /** Settles when all that the worker has said was read. */
  readonly ended: Promise<void>;

  /** To be made in the same tick as the child. One that could not be started has no channel. */
  constructor(child: ChildProcess, observer: WorkerChannelObserver) {
    this.#child = child;
    this.#observer = observer;
    this.#speech = new Speech(
      {
        onMessage: (message) => observer.onMessage(message),
        onOffence: (reason) => this.#offend(reason),
      },
      monotonic(),
    );
    muteChannel(child);
    const pipe = (child.stdio as ChildProcess['stdio'] | undefined)?.[speechDescriptor];
    this.#pipe = (pipe as Socket | null | undefined) ?? null;
    this.ended = this.#listen();
  }

  /** Sends a message, beside a handle if one is given. To a worker that is gone it is lost, which is no error. */
  send(message: MasterMessage, handle?: Handle): void {
    if (this.#isOver || !this.#child.connected) return;
    if (this.#waiting.length >= maxWaiting) {
      this.#offend('it does not read what it is sent');
      return;
    }
    this.#waiting.push({ message, handle });
    this.#write();
  }

  /** Ends it from this side: a channel that is not read does not show that the other end is gone. */
  close(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#speech.stop();
    this.#pipe?.destroy();
    if (this.#child.connected) this.#child.disconnect();
  }

  /** One at a time: what libuv has not written yet it would write of a socket that may be closed by then. */
  #write(): void {
    while (!this.#isWriting && this.#child.connected) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { message, handle } = next;
      // Closed meanwhile.
      if (handle !== undefined && handle.fd < 0) continue;
      this.#isWriting = !sendUnacknowledged(this.#child, wrap(message), handle, () => {
        this.#isWriting = false;
        this.#write();
      });
    }
  }

  #listen(): Promise<void> {
    const pipe = this.#pipe;
    if (pipe === null) return Promise.resolve();
    return new Promise((resolve) => {
      pipe.on('data', (chunk: Buffer) => this.#speech.take(chunk, monotonic()));
      // Whatever happens to a pipe: the worker's exit tells the rest.
      pipe.on('error', () => {});
      pipe.on('close', resolve);
    });
  }

  #offend(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    this.#speech.stop();
    // At once: it may go on.
    this.#pipe?.destroy();
    this.#observer.onOffence(reason);
  }
}
