/** Runs a command of prefork to its end. */
import { spawn } from 'node:child_process';
import { bin } from './paths.ts';

export interface CommandOptions {
  /** `/` without it. */
  readonly cwd?: string;
  /** On top of the test's own environment; `undefined` takes a variable away. */
  readonly env?: NodeJS.ProcessEnv;
  /** The user, and the group of the same number. */
  readonly uid?: number;
  /** Milliseconds after which the command gets SIGINT. */
  readonly interruptAfter?: number;
}

export interface CommandEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end of the command, not for that of what it leaves behind. */
export function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandEnd> {
  const { cwd = '/', env = {}, uid, interruptAfter } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (said.stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (said.stderr += String(chunk)));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...said }));
    if (interruptAfter !== undefined) setTimeout(() => child.kill('SIGINT'), interruptAfter);
  });
}
