/** Load from a process of its own, so that neither the clients nor the test wait for each other's event loop. */
import { type ChildProcess, fork } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fromRoot, root } from '../paths.ts';
import { until } from '../until.ts';
import type { MixSpec, Report } from './mix.ts';
import type { Stall } from './stall.ts';

/** A load of a process of its own. */
export interface LoadSpec extends MixSpec {
  /** Its event loop stands still now and then, for all its clients at once. */
  readonly stall?: Stall;
}

export interface Progress {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  /** Workers that have answered. */
  readonly pids: readonly number[];
}

/** What the parent says. */
export type Order =
  | { readonly type: 'start'; readonly spec: LoadSpec }
  | { readonly type: 'phase'; readonly phase: string }
  | { readonly type: 'stop' };

/** What the child says. */
export type News = ({ readonly type: 'progress' } & Progress) | { readonly type: 'report'; readonly report: Report };

export class Load {
  readonly #child: ChildProcess;
  #report: Report | null = null;
  #ended: string | null = null;
  /** As of at most a tenth of a second ago. */
  progress: Progress = { sent: 0, answered: 0, failed: 0, pids: [] };

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (news: News) => {
      if (news.type === 'report') this.#report = news.report;
      else this.progress = news;
    });
    child.on('exit', (code, signal) => {
      this.#ended = `the load process exited with ${signal ?? code}`;
    });
  }

  /** Waits until so many requests have been answered since the start. */
  async answered(count: number, within = 30_000): Promise<void> {
    await until(`${count} answers (${JSON.stringify(this.progress)})`, () => this.progress.answered >= count, {
      within,
      abort: () => this.#ended,
    });
  }

  /** Waits for so many answers more. */
  async further(count: number, within = 30_000): Promise<void> {
    await this.answered(this.progress.answered + count, within);
  }

  /** Waits until each of these workers has answered a request. */
  async heardFrom(pids: readonly number[], within = 30_000): Promise<void> {
    await until(`answers from ${pids.join(', ')}`, () => pids.every((pid) => this.progress.pids.includes(pid)), {
      within,
      abort: () => this.#ended,
    });
  }

  /** Labels the requests sent from now on. */
  phase(phase: string): void {
    this.#order({ type: 'phase', phase });
  }

  /** Lets the requests under way end, and gives the counts. */
  async stop(within = 60_000): Promise<Report> {
    if (this.#report === null) this.#order({ type: 'stop' });
    return await this.done(within);
  }

  /** Waits until every group has used up its requests. */
  async done(within = 120_000): Promise<Report> {
    return await until('the report of the load', () => this.#report, {
      within,
      abort: () => (this.#report === null ? this.#ended : null),
    });
  }

  /** True once all requests of a limited load are over. */
  get isDone(): boolean {
    return this.#report !== null;
  }

  kill(): void {
    if (this.#ended === null) this.#child.kill('SIGKILL');
  }

  #order(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }
}

/** Starts a load in a child process. */
export function spawnLoad(spec: LoadSpec): Load {
  const entry = fromRoot('test/support/load/run.ts');
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const child = fork(entry, {
    cwd: root,
    execArgv: ['--import', 'tsx'],
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const load = new Load(child);
  child.send({ type: 'start', spec } satisfies Order);
  return load;
}

/** As {@link spawnLoad}, for one test: ends with it. */
export function startLoad(t: TestContext, spec: LoadSpec): Load {
  const load = spawnLoad(spec);
  t.after(() => load.kill());
  return load;
}
