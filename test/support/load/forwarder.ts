/** A slow line (`line.ts`) in a process of its own, so that nothing but its delay holds up what it carries. */
import { type ChildProcess, fork } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fromRoot, root } from '../paths.ts';
import type { Target } from '../request.ts';
import { until } from '../until.ts';
import type { LineCounts, LineSpec } from './line.ts';

/** What the parent says. */
export type LineOrder = { readonly type: 'open'; readonly spec: LineSpec } | { readonly type: 'count' };

/** What the child says. */
export type LineNews =
  | { readonly type: 'listening'; readonly target: Target }
  | { readonly type: 'counts'; readonly counts: LineCounts };

export class Forwarder {
  /** Where clients find the service behind it. */
  readonly target: Target;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, target: Target) {
    this.#child = child;
    this.target = target;
  }

  /** What has passed so far. */
  async counts(): Promise<LineCounts> {
    let counts: LineCounts | null = null;
    const take = (news: LineNews): void => {
      if (news.type === 'counts') counts = news.counts;
    };
    this.#child.on('message', take);
    this.#child.send({ type: 'count' } satisfies LineOrder, () => undefined);
    try {
      return await until('the counts of the line', () => counts, { abort: () => ended(this.#child) });
    } finally {
      this.#child.off('message', take);
    }
  }

  kill(): void {
    if (ended(this.#child) === null) this.#child.kill('SIGKILL');
  }
}

/** Starts a slow line. It listens when this returns. */
export async function spawnForwarder(spec: LineSpec): Promise<Forwarder> {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const child = fork(fromRoot('test/support/load/forward.ts'), {
    cwd: root,
    execArgv: ['--import', 'tsx'],
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let target: Target | null = null;
  child.on('message', (news: LineNews) => {
    if (news.type === 'listening') target = news.target;
  });
  child.send({ type: 'open', spec } satisfies LineOrder, () => undefined);
  const found = await until('the line', () => target, { within: 15_000, abort: () => ended(child) });
  return new Forwarder(child, found);
}

/** As {@link spawnForwarder}, for one test: ends with it. */
export async function startForwarder(t: TestContext, spec: LineSpec): Promise<Forwarder> {
  const forwarder = await spawnForwarder(spec);
  t.after(() => forwarder.kill());
  return forwarder;
}

function ended(child: ChildProcess): string | null {
  const how = child.signalCode ?? child.exitCode;
  return how === null ? null : `the process of the line exited with ${how}`;
}
