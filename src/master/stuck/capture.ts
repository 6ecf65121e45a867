/** Where a worker is stuck, as it says itself when it is asked by a signal. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StackMessage } from '../../protocol/messages.ts';
import { statFieldsOf } from '../../system/processes.ts';

/** Where a worker is stuck, and on what. */
export interface Capture {
  /** One line per frame, innermost first, as in an Error's stack. */
  readonly frames: readonly string[];
  /** Requests in flight in that worker. */
  readonly requests: StackMessage['requests'];
  /** The worker ran prefork's own code: it was not stuck any more when it was looked at. */
  readonly isOwnWork: boolean;
  /** Its event loop turned when it was looked at; what it waited for, in Node's words. */
  readonly waitsFor: readonly string[] | null;
  /** Why there is no stack; `null` if there is one, or if the event loop turned. */
  readonly problem: string | null;
}

/** @param problem why there is no stack */
export function withoutStack(problem: string): Capture {
  return { frames: [], requests: [], isOwnWork: false, waitsFor: null, problem };
}

/** The workers that were asked, and have not answered. What comes unasked is not looked at. */
export class Captures {
  readonly #asked = new Map<number, (message: StackMessage) => void>();
  readonly #mute = new Set<number>();

  /**
   * Asks a worker. Never throws.
   *
   * @param ask sends the signal
   * @param within milliseconds
   * @param onLate called with an answer that comes after that time: a native call has ended
   */
  async take(
    id: number,
    pid: number,
    ask: () => void,
    within: number,
    onLate: (capture: Capture) => void = () => {},
  ): Promise<Capture> {
    // A stopped process answers nothing; asking it would only cost time.
    if (/^[Tt]/.test(stateOf(pid))) return withoutStack('the process is stopped (SIGSTOP)');
    if (this.#mute.has(id)) return withoutStack('the app listens to SIGUSR1, by which it would be asked');
    const patience = new AbortController();
    const answer = new Promise<StackMessage>((resolve) => this.#asked.set(id, resolve));
    ask();
    const message = await Promise.race([answer, delay(within, null, { signal: patience.signal }).catch(() => null)]);
    patience.abort();
    if (message !== null) return captureFrom(message);
    this.#asked.set(id, (late) => onLate(captureFrom(late)));
    return withoutStack(`${activityOf(pid)} (no answer within ${within} ms)`);
  }

  onMessage(id: number, message: StackMessage): void {
    const answered = this.#asked.get(id);
    this.#asked.delete(id);
    answered?.(message);
  }

  /** The worker is not to be asked. */
  onMute(id: number): void {
    this.#mute.add(id);
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#mute.delete(id);
    this.#asked.delete(id);
  }
}

function captureFrom({ frames, requests, isOwn, resources }: StackMessage): Capture {
  return { frames, requests, isOwnWork: isOwn, waitsFor: frames.length === 0 ? resources : null, problem: null };
}

/** A worker answers as soon as it runs any JavaScript: what it does instead, as the kernel sees it. */
function activityOf(pid: number): string {
  switch (stateOf(pid)) {
    case 'R':
      return 'it runs, but no JavaScript: native code, such as an addon, JSON.parse or a synchronous compression';
    case 'S':
    case 'D':
      return 'it waits for the system, as in execSync, in a synchronous read or in an addon';
    case 'T':
    case 't':
      return 'the process is stopped (SIGSTOP)';
    default:
      return 'it is gone, or all but gone';
  }
}

/** One letter, of proc_pid_stat(5). */
function stateOf(pid: number): string {
  return statFieldsOf(pid)?.[0] ?? '';
}
