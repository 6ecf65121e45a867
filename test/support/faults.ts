/** What tests of faults have in common: a service under light load, and what its clients may have lost. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Load, startLoad } from './load/child.ts';
import { type Group, type Report, table, total } from './load/mix.ts';
import { fixture } from './paths.ts';
import { request } from './request.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from './supervisor.ts';
import { until } from './until.ts';

export const app = fixture('faults/app.cjs');

/** Clients that leave the machine some air. */
export const groups: readonly Group[] = [
  { kind: 'idle', clients: 8 },
  { kind: 'fresh', clients: 2, think: 20 },
];

export async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const supervisor = await startSupervisor(t, { workers: 3, ...options });
  return await supervisor.waitReady();
}

export function withLoad(t: TestContext, s: Supervisor): Load {
  return startLoad(t, { target: s.target, groups });
}

/** Waits until so many workers are ready, none of them one of these. */
export async function replaced(s: Supervisor, gone: readonly number[], count = 3): Promise<void> {
  await until(
    `${count} workers without ${gone.join(', ')}`,
    () => {
      const ready = s.log.filter(({ msg }) => /^worker ready /.test(msg)).map(({ pid }) => Number(pid));
      return s.workers().filter((pid) => ready.includes(pid) && !gone.includes(pid)).length === count;
    },
    { within: 20_000 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${s.describe()}`);
  });
}

/** Nobody was refused and nobody hung; no more failed than could have been inside a dead worker. */
export async function assertFew(load: Load, most: number): Promise<void> {
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failedAs('refused'), 0, table(report));
  assert.equal(all.failedAs('client-timeout'), 0, table(report));
  assert.equal(all.failedAs('wrong-body'), 0, table(report));
  assert.ok(all.failed <= most, `${all.failed} failed, ${most} may\n${table(report)}`);
}

/**
 * Nobody was refused and nobody hung, and what failed was reset with a worker that died: its connections stayed where they
 * were, so who answered last is who had one.
 *
 * @param dead pids
 */
export function assertResetByDead(report: Report, dead: ReadonlySet<number>, more = ''): void {
  const all = total(report);
  const say = `${more}${table(report)}`;
  all.assertComplete();
  assert.equal(all.failedAs('refused'), 0, say);
  assert.equal(all.failedAs('client-timeout'), 0, say);
  assert.equal(all.failed, all.resets, say);
  for (const detail of all.details) {
    const owner = /connection of worker (\d+)/.exec(detail)?.[1];
    if (owner !== undefined) assert.ok(dead.has(Number(owner)), `worker ${owner} was not killed: ${detail}; ${say}`);
  }
}

/** How a request to a worker that dies of it ended. */
export async function outcome(s: Supervisor, path: string): Promise<string> {
  return await request(s.target, path, { timeout: 20_000 }).then(
    (answer) => String(answer.status),
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}
