/** Ten thousand idle connections across a reload: how long it takes, and what becomes of them. */
import { readFileSync } from 'node:fs';
import { isAlive } from '../../test/support/proc.ts';
import { until } from '../../test/support/until.ts';
import { Kept } from '../clients/kept.ts';
import { contenders } from '../contenders/index.ts';
import { workersOf } from '../processes.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, show, spread } from '../stats.ts';

const wanted = 10_000;

/** So many as the limit of open files allows with some to spare: the client holds them all, and a worker may. */
export function idleConnections(): number {
  const limit = /^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(wanted, Math.floor(0.9 * Number(limit ?? 4_096)));
}

/** Milliseconds after which a reload is taken as not over. */
const patience = 60_000;

export async function idleReload(plan: Plan, connections: number): Promise<Outcome> {
  const rounds = await runRounds(plan, async (port, running) => {
    const client = await Kept.open({ port, connections, apart: 0.5, path: '/' });
    try {
      const old = workersOf(port, running.master);
      const startedAt = performance.now();
      running.reload?.();
      await until('the old workers to be gone', () => !old.some(isAlive), { within: patience, every: 5 }).catch(
        () => undefined,
      );
      const ms = old.some(isAlive) ? Number.NaN : performance.now() - startedAt;
      const { failed, reopened, answered } = await client.ask();
      return { ms, failed, closed: reopened, moved: Math.max(0, answered - reopened) };
    } finally {
      client.end();
    }
  });
  const rows = [...rounds].map(([{ name }, results]) => [
    name,
    ...[
      results.map(({ moved }) => moved),
      results.map(({ closed }) => closed),
      results.map(({ failed }) => failed),
    ].map((values) => show(spread(values))),
    results.some(({ ms }) => Number.isNaN(ms))
      ? `more than ${patience / 1000} s`
      : `${show(spread(results.map(({ ms }) => ms / 1000)), 1)} s`,
  ]);
  const ours = rounds.get(contenders.prefork) ?? [];
  return {
    table: {
      heads: [`server, ${connections.toLocaleString('en')} idle`, 'kept', 'closed', 'failed', 'until the old are gone'],
      rows,
    },
    panels: [
      {
        title: 'Connections closed or failed',
        better: 'less',
        bars: bars(rounds, ({ closed, failed }) => closed + failed),
        aim: 0,
      },
      {
        title: 'Until the old workers are gone, s',
        better: 'less',
        bars: bars(rounds, ({ ms }) => ms / 1000),
        digits: 1,
      },
    ],
    values:
      ours.length === 0
        ? {}
        : { 'lost.prefork': Math.max(...ours.map(({ closed, failed }) => closed + failed)), connections },
  };
}
