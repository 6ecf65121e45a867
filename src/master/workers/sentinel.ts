/**
 * Ends workers that outlive a master that was killed.
 *
 * A healthy worker sees its channel close, lets go of the listening sockets at once and drains. One that is blocked or
 * stopped at that moment cannot, and the sockets it holds would keep connections waiting for ever. A watchdog thread in
 * each worker would cost megabytes apiece and does not run in a stopped process; one shell beside the master sees both.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { FileError } from '../../errors.ts';
import { statFieldsOf } from '../../system/processes.ts';
import { socketInode } from '../../system/socket-inode.ts';
import { withoutStrays } from '../../system/strays.ts';
import { sentinelScript } from './sentinel-script.ts';

export class Sentinel {
  #pipe: Writable | null = null;
  #sockets = '';

  /**
   * Starts it if it is needed and can be: when PID 1 ends, the kernel ends all other processes too.
   *
   * @throws FileError if no process can be started
   */
  start(): void {
    if (process.pid === 1 || process.platform === 'win32' || !existsSync('/bin/sh')) return;
    // The program goes in by stdin, so that `ps` shows a name and not sixty lines.
    const shell = spawn('/bin/sh', ['-s', 'prefork: sentinel'], {
      stdio: withoutStrays(['pipe', 'ignore', 'ignore', 'pipe']),
      // Not in our process group: it must survive a Ctrl-C that ends us. Not with our environment: it needs none.
      detached: true,
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
    });
    shell.on('error', () => this.#drop());
    // Without a free descriptor, or a process, there are no pipes either, and the reason comes too late: workers would fare no better.
    if (shell.pid === undefined) {
      throw new FileError(
        'no process can be started (EMFILE, EAGAIN or ENOMEM); raise the limit of open files (ulimit -n, LimitNOFILE= in systemd) or of processes (ulimit -u)',
      );
    }
    shell.stdin?.on('error', () => this.#drop());
    shell.stdin?.end(sentinelScript);
    shell.unref();
    const pipe = shell.stdio[3] as Writable;
    pipe.on('error', () => this.#drop());
    (pipe as Writable & { unref?: () => void }).unref?.();
    this.#pipe = pipe;
  }

  /** @param grace milliseconds a worker may take to drain */
  setGrace(grace: number): void {
    this.#say(`grace ${Math.ceil(grace / 1000)}`);
  }

  /** Says which sockets no worker may go on holding. */
  setSockets(fds: readonly number[]): void {
    const inodes = fds.flatMap((fd) => socketInode(fd) ?? []).join(' ');
    if (inodes !== this.#sockets) this.#say(`sockets ${inodes}`);
    this.#sockets = inodes;
  }

  add(pid: number): void {
    this.#say(`add ${pid} ${startTimeOf(pid)}`);
  }

  delete(pid: number): void {
    this.#say(`del ${pid}`);
  }

  /** All workers are gone: so is the need. */
  stop(): void {
    this.#say('bye');
    this.#pipe?.end();
    this.#pipe = null;
  }

  #say(line: string): void {
    this.#pipe?.write(`${line}\n`);
  }

  #drop(): void {
    this.#pipe = null;
  }
}

/** In clock ticks since the machine has started; it tells a process from a later one with the same pid. */
function startTimeOf(pid: number): string {
  return statFieldsOf(pid)?.[19] ?? '0';
}
