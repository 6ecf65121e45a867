/**
 * Tells systemd how the service is: sd_notify(3).
 *
 * Node cannot send a datagram to a unix socket, so systemd-notify(1) does it, one process at a time and only if systemd
 * listens. It waits until systemd has read the message, so systemd can still tell which service the sender
 * belonged to. Not being the main process it needs `NotifyAccess=all` (as root it speaks in our name, and `main` does).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf } from '../../errors.ts';

const program = 'systemd-notify';
/** Milliseconds; it gives systemd 5 s to read the message. */
const patience = 10_000;
/** Milliseconds in which states that are no change of the service's life are gathered. */
const gathering = 100;
const firstRetry = 1_000;
const longestRetry = 30_000;
/** Bytes of what is said for people; systemd cuts nothing, and shows it on one line. */
const maxStatus = 400;

/** Changes in a service's life; each is told, and in their order. */
export type Transition = 'READY' | 'RELOADING' | 'STOPPING';

/** What of it only the latest counts. */
type Latest = 'STATUS' | 'WATCHDOG' | 'EXTEND_TIMEOUT_USEC';

type Done = (problem: Error | string | null) => void;

/** In the place of a transition: see {@link Notifier.becomeOwn}. */
const adoption: readonly string[] = ['MAINPID=', 'twice'];

export interface NotifierOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly warn: (message: string) => void;
}

export class Notifier {
  readonly #options: NotifierOptions;
  #transitions: (readonly string[])[] = [];
  #latest = new Map<Latest, string>();
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retry = 0;
  /** No service manager asked to be told, or there is no way to tell it. */
  #isOff: boolean;
  #onIdle: (() => void) | null = null;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#isOff = (options.env.NOTIFY_SOCKET ?? '') === '';
  }

  /** Whether a service manager wants to be told. */
  get isOn(): boolean {
    return !this.#isOff;
  }

  transition(to: Transition): void {
    if (this.#isOff) return;
    // A service that reloads again, or stops, need not tell what it has not told yet; except for the first READY.
    if (to !== 'READY')
      this.#transitions = this.#transitions.filter(
        (each, index) => isMainpid(each) || (to === 'RELOADING' && index === 0 && isReady(each)),
      );
    this.#transitions.push(to === 'RELOADING' ? ['RELOADING=1', `MONOTONIC_USEC=${monotonic()}`] : [`${to}=1`]);
    this.#schedule(0);
  }

  /** @param text is put on one line */
  status(text: string): void {
    this.#set('STATUS', oneLine(text), gathering);
  }

  /** We are alive. */
  ping(): void {
    this.#set('WATCHDOG', '1', 0);
  }

  /** The start takes so many milliseconds more, from now, and is not to be given up before. */
  extend(milliseconds: number): void {
    this.#set('EXTEND_TIMEOUT_USEC', String(Math.round(milliseconds * 1_000)), 0);
  }

  /** Which process is the service's main one from now on. */
  mainpid(pid: number): void {
    if (this.#isOff) return;
    this.#transitions.push([`MAINPID=${pid}`]);
    this.#schedule(0);
  }

  /**
   * Has systemd look anew at whose child we are. It does so only if MAINPID changes: for a moment the main process is
   * a helper, which then says that we are.
   */
  becomeOwn(): void {
    if (this.#isOff) return;
    this.#transitions.push(adoption);
    this.#schedule(0);
  }

  /** What has not been told yet is of no use any more. */
  forget(): void {
    this.#transitions = [];
    this.#latest.clear();
  }

  /** Waits until everything is told, but not for long: the service does not end later because systemd does not listen. */
  async end(within = 1_000): Promise<void> {
    if (this.#isOff || this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, within);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#schedule(0);
    });
    this.#isOff = true;
  }

  #set(name: Latest, value: string, within: number): void {
    if (this.#isOff) return;
    this.#latest.set(name, value);
    this.#schedule(within);
  }

  #isIdle(): boolean {
    return this.#child === null && this.#transitions.length === 0 && this.#latest.size === 0;
  }

  #schedule(within: number): void {
    // The process that runs is followed by the next when it is done; after a failure the pause is kept.
    if (this.#child !== null || this.#retry > 0) return;
    if (within === 0) this.#send();
    else if (this.#timer === null) this.#timer = setTimeout(() => this.#send(), within).unref();
  }

  #send(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#isOff || this.#child !== null) return;
    const transition = this.#transitions.shift() ?? [];
    const latest = transition === adoption ? new Map<Latest, string>() : this.#latest;
    if (transition !== adoption) this.#latest = new Map();
    const words = [...transition, ...[...latest].map(([name, value]) => `${name}=${value}`)];
    if (words.length === 0) {
      this.#onIdle?.();
      return;
    }
    const run = transition === adoption ? this.#adopt.bind(this) : this.#run.bind(this, words);
    run((problem) => {
      this.#child = null;
      if (problem === null) {
        this.#retry = 0;
        return this.#send();
      }
      if (transition.length > 0) this.#transitions.unshift(transition);
      this.#latest = new Map([...latest, ...this.#latest]);
      this.#onProblem(problem);
    });
  }

  #run(words: readonly string[], done: Done): void {
    this.#child = this.#spawn(program, words, done);
  }

  /** See {@link becomeOwn}. As root the messenger speaks in its parent's name, which has to be the main process. */
  #adopt(done: Done): void {
    const script = `read -r _ && ${program} "MAINPID=$1"; exit $?`;
    const helper = this.#spawn('/bin/sh', ['-c', script, 'sh', String(process.pid)], done);
    this.#child = helper;
    if (helper?.pid === undefined) return;
    this.#spawn(program, [`MAINPID=${helper.pid}`], (problem) => {
      // Without its word the helper ends in vain.
      helper.stdin?.end(problem === null ? '\n' : '');
    });
  }

  #spawn(file: string, args: readonly string[], done: Done): ChildProcess | null {
    const { env } = this.#options;
    let said = '';
    let isDone = false;
    const settle: Done = (problem) => {
      if (isDone) return;
      isDone = true;
      done(problem);
    };
    try {
      const child = spawn(file, args, {
        stdio: ['pipe', 'ignore', 'pipe'],
        // MANAGERPID is how it tells a user's own manager from a parent.
        env: { NOTIFY_SOCKET: env.NOTIFY_SOCKET, MANAGERPID: env.MANAGERPID, PATH: env.PATH ?? '/usr/bin:/bin' },
        cwd: '/',
        timeout: patience,
        killSignal: 'SIGKILL',
      });
      child.stdin.on('error', () => {});
      child.stderr.on('error', () => {});
      child.stderr.on('data', (chunk) => {
        if (said.length < maxStatus) said += String(chunk);
      });
      child.on('error', (error) => settle(error));
      child.on('close', (code, signal) =>
        settle(code === 0 ? null : oneLine(said.trim() || `it ended with ${signal ?? code}`)),
      );
      return child;
    } catch (error) {
      setImmediate(() => settle(error instanceof Error ? error : new Error(String(error))));
      return null;
    }
  }

  #onProblem(problem: Error | string): void {
    if ((problem as NodeJS.ErrnoException).code === 'ENOENT') {
      this.#isOff = true;
      this.#options.warn(
        `${program} is not installed: systemd, which asked for it (NOTIFY_SOCKET), is told nothing; install it, or use Type=exec without WatchdogSec`,
      );
      this.#onIdle?.();
      return;
    }
    if (this.#retry === 0)
      this.#options.warn(`${program} failed: ${messageOf(problem)}; it is tried again until systemd can be told`);
    this.#retry = Math.min(longestRetry, this.#retry === 0 ? firstRetry : this.#retry * 2);
    this.#timer = setTimeout(() => this.#send(), this.#retry).unref();
  }
}

function isMainpid(transition: readonly string[]): boolean {
  return transition[0]?.startsWith('MAINPID=') === true;
}

function isReady(transition: readonly string[] | undefined): boolean {
  return transition?.[0] === 'READY=1';
}

/** CLOCK_MONOTONIC in microseconds, by which systemd knows that a reload began after it asked for one. */
function monotonic(): bigint {
  return process.hrtime.bigint() / 1_000n;
}

/** A newline would begin another assignment. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, ' ').slice(0, maxStatus);
}

/**
 * How often systemd wants to hear that we are alive: half of what it waits, as sd_watchdog_enabled(3) recommends.
 *
 * @returns milliseconds, `null` if it does not ask, or asks another process
 */
export function pingEvery(env: NotifierOptions['env'], pid: number): number | null {
  const { WATCHDOG_USEC = '', WATCHDOG_PID = '' } = env;
  if (!/^[1-9]\d{0,15}$/.test(WATCHDOG_USEC) || (WATCHDOG_PID !== '' && WATCHDOG_PID !== String(pid))) return null;
  return Math.max(1, Math.floor(Number(WATCHDOG_USEC) / 2_000));
}
