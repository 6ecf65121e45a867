/** Something that serves the bench app. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { request } from '../../test/support/request.ts';
import { until } from '../../test/support/until.ts';

/** Marks the processes of one start, by its port. */
export const runVariable = 'BENCH_RUN';

export interface Running {
  /** Asks for a reload; `null` where there is no such thing. Does not wait for its end. */
  readonly reload: (() => void) | null;
  readonly stop: () => Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** `null` where it can run; otherwise why not. May install it. */
  readonly unavailable: () => Promise<string | null>;
  readonly version: () => string;
  readonly start: (port: number, workers: number) => Promise<Running>;
}

/** Waits until the app answers. */
export async function serving(port: number, child?: ChildProcess): Promise<void> {
  await until(`an answer on port ${port}`, async () => (await request({ port }, '/')).status === 200, {
    within: 20_000,
    abort: () => (child === undefined || child.exitCode === null ? null : `it exited with ${child.exitCode}`),
  });
}

/** A contender that is one process: reloaded by a signal, stopped by TERM. */
export async function startProcess(
  command: string,
  args: readonly string[],
  port: number,
  options: SpawnOptions & { readonly reloadSignal?: NodeJS.Signals },
): Promise<Running> {
  const { reloadSignal } = options;
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'], ...options });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.once('error', () => undefined);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(hard);
  };
  try {
    await serving(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { reload: reloadSignal === undefined ? null : () => void child.kill(reloadSignal), stop };
}
