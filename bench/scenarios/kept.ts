/** Keep-alive clients across five reloads: how many connections each of them has to open. */
import { spawnLoad } from '../../test/support/load/child.ts';
import type { Group } from '../../test/support/load/mix.ts';
import { total } from '../../test/support/load/mix.ts';
import { pause } from '../../test/support/until.ts';
import { contenders } from '../contenders/index.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, medianOf, show, spread } from '../stats.ts';

const clients = 40;
const groups: readonly Group[] = [
  { kind: 'busy', path: '/', clients: 10, think: 5, timeout: 5_000 },
  { kind: 'idle', path: '/', clients: 30, think: 500, timeout: 5_000 },
];

export interface KeptTimes {
  readonly reloads: number;
  /** Milliseconds from one reload to the next. */
  readonly interval: number;
}

export async function kept(plan: Plan, times: KeptTimes): Promise<Outcome> {
  const rounds = await runRounds(plan, async (port, running) => {
    const load = spawnLoad({ target: { port }, groups });
    try {
      await load.answered(200);
      for (let reload = 0; reload < times.reloads; reload++) {
        running.reload?.();
        await pause(times.interval);
      }
      const tally = total(await load.stop());
      const { sent, failed, connections } = tally;
      return { sent, failed, opened: connections / clients, workers: tally.pids.size };
    } finally {
      load.kill();
    }
  });
  const rows = [...rounds].map(([{ name }, results]) => [
    name,
    show(spread(results.map(({ opened }) => opened)), 2),
    `${results.reduce((sum, { failed }) => sum + failed, 0)}`,
    show(spread([results.reduce((sum, { sent }) => sum + sent, 0)])),
    show(spread(results.map(({ workers }) => workers))),
  ]);
  const ours = rounds.get(contenders.prefork) ?? [];
  return {
    table: { heads: ['server', 'connections per client', 'failed', 'requests', 'workers seen'], rows },
    panels: [
      {
        title: 'Connections opened per client',
        better: 'less',
        bars: bars(rounds, ({ opened }) => opened),
        digits: 2,
        aim: 1,
      },
      {
        title: 'Requests failed, of 100,000',
        better: 'less',
        bars: bars(rounds, ({ failed, sent }) => (failed / sent) * 100_000),
        digits: 1,
      },
    ],
    values: {
      'opened.prefork': medianOf(ours.map(({ opened }) => opened)),
      'failed.prefork': ours.reduce((sum, { failed }) => sum + failed, 0),
    },
  };
}
