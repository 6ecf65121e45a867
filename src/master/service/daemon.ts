/**
 * `daemon`: the service goes on in a session of its own, and the caller gets its shell back when the service is ready, or
 * the reason why it is not. After daemon(7), but for the double fork: a new session of a process that is not
 * its leader's child can get no terminal that matters to Node.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { exitStatus, FileError, messageOf } from '../../errors.ts';
import { escapeText } from '../../system/plain.ts';
import { withoutOwnPreloads } from './own-preloads.ts';

/** In the child's environment: the descriptor on which its caller waits for news. */
const variable = 'PREFORK_DAEMON_FD';
const newsFd = 3;
const readyWord = 'ready';

/** The process that waits at the terminal, as the child sees it. */
export class Caller {
  #fd: number | null;

  private constructor(fd: number | null) {
    this.#fd = fd;
  }

  /** Takes the descriptor out of the environment: no other process is to inherit it. */
  static take(env: NodeJS.ProcessEnv): Caller {
    const fd = env[variable];
    delete env[variable];
    return new Caller(fd === String(newsFd) ? newsFd : null);
  }

  /** Whether a caller waits: this process is the child. */
  get waits(): boolean {
    return this.#fd !== null;
  }

  /** A line that the caller prints. */
  tell(line: string): void {
    this.#write(`: ${line.replaceAll('\n', '\n: ')}\n`);
  }

  /** The service is ready: the caller may go. */
  release(): void {
    this.#write(`${readyWord} ${process.pid}\n`);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #write(text: string): void {
    if (this.#fd === null) return;
    try {
      writeSync(this.#fd, text);
    } catch {
      // The caller did not wait.
    }
  }
}

export interface DaemonOptions {
  /** File for what the child and its workers print; `null` is nowhere. */
  readonly output: string | null;
  /** The caller's mask, which the child starts with. */
  readonly umask: number;
}

/**
 * Starts this very command again, as a daemon, and waits until it is ready or gone. The process then ends.
 *
 * @throws FileError if the output cannot be opened
 */
export async function daemonise({ output, umask }: DaemonOptions): Promise<never> {
  const { createInterface } = await import('node:readline');
  const fd = openOutput(output ?? '/dev/null');
  process.umask(umask);
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['ignore', fd, fd, 'pipe'],
    env: { ...withoutOwnPreloads(process.env), [variable]: String(newsFd) },
  });
  closeSync(fd);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGTERM'));
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      console.error(`prefork: cannot go to the background: ${messageOf(error)}`);
      resolve(exitStatus.failure);
    });
    child.once('exit', (code) => resolve(code === null || code === 0 ? exitStatus.failure : code));
  });
  const ready = new Promise<number>((resolve) => {
    createInterface({ input: child.stdio[newsFd] as Readable }).on('line', (line) => {
      if (line.startsWith(': ')) console.error(`prefork: ${escapeText(line.slice(2))}`);
      else if (line.startsWith(readyWord)) {
        console.log(`prefork: ready, in the background with pid ${escapeText(line.slice(readyWord.length + 1))}`);
        resolve(exitStatus.ok);
      }
    });
  });
  // What it said last arrives after its exit has been seen.
  const status = await Promise.race([ready, ended.then((code) => settle(child.stdio[newsFd] as Readable, code))]);
  process.exit(status);
}

function settle(news: Readable, code: number): Promise<number> {
  return new Promise((resolve) => {
    if (news.destroyed) resolve(code);
    news.once('close', () => setImmediate(() => resolve(code)));
  });
}

function openOutput(path: string): number {
  try {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);
  } catch (error) {
    throw new FileError(`cannot open ${path} for the output of the daemon: ${messageOf(error)}`, { cause: error });
  }
}
