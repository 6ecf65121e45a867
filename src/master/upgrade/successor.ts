/** The new master, as the old one sees it: started with all sockets, listened to, and ended if it must be. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { messageOf } from '../../errors.ts';
import { withoutOwnPreloads } from '../service/own-preloads.ts';
import { type Bequest, UpgradeChannel, type UpgradeMessage, upgradeVariable } from './channel.ts';
import type { Command } from './own-command.ts';

/** Milliseconds for it to say that it ends; a process that does not even say so hangs. */
const answerWithin = 5_000;
/** Milliseconds for its exit to be seen after its end of file, or the other way round. */
const seenWithin = 2_000;
const maxReason = 2_000;

export interface SuccessorOptions {
  readonly command: Command;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly umask: number;
  /** With the descriptors of this process. */
  readonly bequest: Omit<Bequest, 'channel'>;
  readonly onMessage: (message: UpgradeMessage) => void;
  /** The process is gone, or there never was one. Called once. */
  readonly onGone: (reason: string) => void;
}

export class Successor {
  readonly #options: SuccessorOptions;
  #child: ChildProcess | null = null;
  #channel: UpgradeChannel | null = null;
  #exit: string | null = null;
  /** What it said went wrong: what came first explains, what came last is what came of it. */
  readonly #errors: string[] = [];
  #isGone = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Milliseconds that it may take to end, once it has said that it does. */
  #grace = 0;

  constructor(options: SuccessorOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** @returns its pid, `null` if it could not be started: `onGone` says why */
  start(): number | null {
    const { command, env, umask } = this.#options;
    const { stdio, bequest } = layOut(this.#options.bequest);
    const ownUmask = process.umask(umask);
    try {
      this.#child = spawn(command.file, [...command.args], {
        stdio,
        cwd: command.cwd,
        env: { ...withoutOwnPreloads(env), [upgradeVariable]: JSON.stringify(bequest) },
        // Neither our end nor a Ctrl-C that is meant for us is its business.
        detached: true,
      });
    } catch (error) {
      this.#gone(`it could not be started: ${messageOf(error)}`);
      return null;
    } finally {
      process.umask(ownUmask);
    }
    const child = this.#child;
    child.unref();
    child.on('error', (error) => {
      if (child.pid === undefined) this.#gone(`it could not be started: ${messageOf(error)}`);
    });
    child.on('exit', (code, signal) => {
      this.#exit = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
      if (this.#channel === null || this.#channel.ended) this.#gone(this.#reason());
      else this.#after(seenWithin, () => this.#gone(this.#reason()));
    });
    if (child.pid === undefined) return null;
    this.#channel = new UpgradeChannel(child.stdio[bequest.channel] as Socket);
    this.#channel.listen(
      (message) => this.#receive(message),
      () => {
        if (this.#exit !== null) this.#gone(this.#reason());
        // It may have closed its end and live.
        else this.#after(seenWithin, () => this.kill());
      },
    );
    return child.pid;
  }

  send(message: UpgradeMessage): void {
    this.#channel?.send(message);
  }

  /** Ends it; its clients are given `grace` milliseconds. */
  end(reason: string, grace: number, quick: boolean): void {
    this.#grace = grace;
    this.send({ type: 'end', reason, quick });
    this.#after(answerWithin, () => this.kill());
  }

  kill(): void {
    if (this.#exit === null) this.#child?.kill('SIGKILL');
  }

  #receive(message: UpgradeMessage): void {
    if (message.type === 'error') this.#errors.splice(1, 1, String(message.message).slice(0, maxReason));
    if (message.type === 'ending') {
      this.#clear();
      this.#after(this.#grace, () => this.kill());
    }
    this.#options.onMessage(message);
  }

  #reason(): string {
    if (this.#errors.length === 0) return this.#exit ?? 'it does not answer';
    return this.#errors.toReversed().join(': ');
  }

  #after(milliseconds: number, run: () => void): void {
    const timer = setTimeout(run, milliseconds);
    this.#timers.add(timer);
  }

  #clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #gone(reason: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#clear();
    this.#channel?.close();
    this.#options.onGone(reason);
  }
}

/**
 * Which descriptor the new master finds what under: what came from a service manager keeps its number, for `fd://N` to
 * mean the same, and the rest follows without gaps, for Node's start to find all of them and keep them from its children.
 */
export function layOut(given: Omit<Bequest, 'channel'>): { readonly stdio: StdioOptions; readonly bequest: Bequest } {
  const stdio: (number | 'inherit' | 'ignore' | 'pipe')[] = ['inherit', 'inherit', 'inherit'];
  for (const fd of given.inherited) stdio[fd] = fd;
  const free = (): number => {
    let index = 3;
    while (stdio[index] !== undefined) index += 1;
    return index;
  };
  const place = (fd: number): number => {
    if (stdio[fd] === fd) return fd;
    const index = free();
    stdio[index] = fd;
    return index;
  };
  const channel = free();
  stdio[channel] = 'pipe';
  const listeners = given.listeners.map((listener) => ({ ...listener, fds: listener.fds.map(place) }));
  const { queue = null } = given;
  const placed = queue === null ? null : { give: place(queue.give), take: place(queue.take) };
  const admin = given.admin === null ? null : { ...given.admin, fd: place(given.admin.fd) };
  return {
    stdio: Array.from(stdio, (each) => each ?? 'ignore'),
    bequest: { ...given, channel, listeners, queue: placed, admin },
  };
}
