/**
 * What two masters say to each other at an upgrade: the sockets by inheritance and a description of them in the new
 * one's environment, then lines of JSON over a socket pair. The death of either is seen by its end of file, never by its pid.
 */
import { Socket } from 'node:net';
import type { QueueDescriptors } from '../../protocol/migration.ts';
import type { PassedSocket } from '../../system/passed.ts';
import type { ClaimsBequest } from '../claims/claim.ts';
import type { Counted } from '../metrics/counted.ts';
import type { InheritedListener } from '../sockets/inherited-listeners.ts';

/** In the new master's environment: a {@link Bequest}. */
export const upgradeVariable = 'PREFORK_UPGRADE';
/** Of everything in this file. */
export const protocolVersion = 1;

/** What the new master is given. Descriptors are those it has them under. */
export interface Bequest extends ClaimsBequest {
  readonly version: typeof protocolVersion;
  /** Of the master that gives it. */
  readonly pid: number;
  /** The socket pair. */
  readonly channel: number;
  readonly listeners: readonly InheritedListener[];
  /** The queue between workers. A master of an older version has none. */
  readonly queue?: QueueDescriptors | null;
  /** Workers that it has. A master of an older version does not say. */
  readonly wanted?: number;
  /** Sockets that the first master of all was started with, under the same numbers; and which of them a service manager passed. */
  readonly inherited: readonly number[];
  readonly passed: readonly PassedSocket[];
}

export type UpgradeMessage =
  /** From the new one: all its workers are ready. */
  | { readonly type: 'ready' }
  /** It has taken over the claims. */
  | { readonly type: 'taken' }
  /** It was told to stop the service, and not by the old one. */
  | { readonly type: 'stopping' }
  /** It was asked for a reload. */
  | { readonly type: 'reloading' }
  /** It was told to end, and does. */
  | { readonly type: 'ending' }
  /** What went wrong; the last one is the reason. */
  | { readonly type: 'error'; readonly message: string }
  /** From the old one: take over the claims. `reload`: and then reload. It is said again for a reload that is asked for later. */
  | { readonly type: 'yours'; readonly reload: boolean }
  /** An operator has decided that it does not leave after all. */
  | { readonly type: 'stays' }
  /** Stop; `quick`: requests in flight have a second. May be said again with it. */
  | { readonly type: 'end'; readonly reason: string; readonly quick?: boolean }
  /** From either: log files are to be reopened. */
  | { readonly type: 'reopen' }
  /** What it and its workers have counted; see {@link Counted}. */
  | { readonly type: 'counted'; readonly counted: Counted };

const types: ReadonlySet<string> = new Set([
  'ready',
  'taken',
  'stopping',
  'reloading',
  'ending',
  'error',
  'yours',
  'stays',
  'end',
  'reopen',
  'counted',
]);
/** Characters: no message is as long, not even an app's metrics. */
const maxLine = 8 * 1024 * 1024;

export class UpgradeChannel {
  readonly #socket: Socket;
  #onMessage: ((message: UpgradeMessage) => void) | null = null;
  #onEnd: (() => void) | null = null;
  #onEarly: ((message: UpgradeMessage) => void) | null = null;
  readonly #early: UpgradeMessage[] = [];
  #unfinished = '';
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.unref();
    socket.setEncoding('utf8');
    socket.on('error', () => this.#end());
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
    socket.on('data', (text: string) => this.#take(text));
  }

  static of(fd: number): UpgradeChannel {
    return new UpgradeChannel(new Socket({ fd, readable: true, writable: true }));
  }

  /** Whether the other one is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What has arrived already is told at once. */
  listen(onMessage: (message: UpgradeMessage) => void, onEnd: () => void): void {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    for (const message of this.#early.splice(0)) onMessage(message);
    if (this.#ended) onEnd();
  }

  /** Shows what arrives before anybody listens, which is told all the same then. */
  glance(onEarly: (message: UpgradeMessage) => void): void {
    this.#onEarly = onEarly;
    for (const message of this.#early) onEarly(message);
  }

  send(message: UpgradeMessage): void {
    if (!this.#ended) this.#socket.write(`${JSON.stringify(message)}\n`, () => {});
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#unfinished + text).split('\n');
    this.#unfinished = lines.pop() ?? '';
    if (this.#unfinished.length > maxLine) this.#socket.destroy();
    for (const line of lines) {
      const message = parse(line);
      if (message === null) continue;
      if (this.#onMessage === null) {
        this.#early.push(message);
        this.#onEarly?.(message);
      } else this.#onMessage(message);
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    this.#onEnd?.();
  }
}

/** A later version may say more: what is not understood is not heard. */
function parse(line: string): UpgradeMessage | null {
  try {
    const message = JSON.parse(line) as { type?: unknown } | null;
    return typeof message?.type === 'string' && types.has(message.type) ? (message as UpgradeMessage) : null;
  } catch {
    return null;
  }
}
