/** Something that serves the bench app. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { markedWith } from '../../test/support/proc.ts';
import { request } from '../../test/support/request.ts';
import { until } from '../../test/support/until.ts';

/** Marks the processes of one start, by its port. */
export const runVariable = 'BENCH_RUN';

/** Marks everything that one run of the bench has started, by its pid. */
const ownerVariable = 'BENCH_OWNER';

/** Ends whatever this run has started, for a run that is cut short. */
export function endAll(): void {
  for (const pid of markedWith(`${ownerVariable}=${process.pid}`)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

export interface Running {
  /** The process that was started, where it is the master and stays. */
  readonly master: number | null;
  /** Asks for a reload; `null` where there is no such thing. Does not wait for its end. */
  readonly reload: (() => void) | null;
  /** Asks for so many workers more; `null` where there is no such thing. */
  readonly scale: ((by: number) => void) | null;
  readonly stop: () => Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** `null` where it can run; otherwise why not. May install it. */
  readonly unavailable: () => Promise<string | null>;
  readonly version: () => string;
  readonly start: (port: number, workers: number) => Promise<Running>;
}

/** The environment of everything that belongs to one start. */
export function environment(port: number, more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PORT: String(port),
    [runVariable]: String(port),
    [ownerVariable]: String(process.pid),
    ...more,
  };
}

/** Waits until the app answers. */
export async function serving(port: number, child?: ChildProcess): Promise<void> {
  await until(`an answer on port ${port}`, async () => (await request({ port }, '/')).status === 200, {
    within: 60_000,
    abort: () => (child === undefined || child.exitCode === null ? null : `it exited with ${child.exitCode}`),
  });
}

/** A contender that is one process: reloaded by a signal, stopped by TERM; with `scales` TTIN adds a worker. */
export async function startProcess(
  command: string,
  args: readonly string[],
  port: number,
  options: SpawnOptions & { readonly reloadSignal?: NodeJS.Signals; readonly scales?: boolean },
): Promise<Running> {
  const { reloadSignal, scales = false } = options;
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'], ...options });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.once('error', () => undefined);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(hard);
  };
  const scale = scales
    ? (by: number): void => {
        // Signals of one kind that are pending at once are one.
        for (let index = 0; index < by; index++) setTimeout(() => child.kill('SIGTTIN'), index * 100);
      }
    : null;
  try {
    await serving(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  const reload = reloadSignal === undefined ? null : () => void child.kill(reloadSignal);
  return { master: child.pid ?? null, reload, scale, stop };
}
