/** Clients that think, over a line that takes 70 ms each way: an end that is under way crosses with their next request. */
import { spawnLoad } from '../../test/support/load/child.ts';
import { spawnForwarder } from '../../test/support/load/forwarder.ts';
import type { Group } from '../../test/support/load/mix.ts';
import { total } from '../../test/support/load/mix.ts';
import { pause } from '../../test/support/until.ts';
import { contenders } from '../contenders/index.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, show, spread } from '../stats.ts';

/** Milliseconds, each way. */
const delay = 70;
const clients = 200;
const groups: readonly Group[] = [{ kind: 'thinking', path: '/', clients, think: [400, 3_500], timeout: 8_000 }];

export interface LineTimes {
  readonly reloads: number;
  /** Milliseconds from one reload to the next. */
  readonly interval: number;
}

export async function slowLine(plan: Plan, times: LineTimes): Promise<Outcome> {
  const rounds = await runRounds(plan, async (port, running) => {
    const line = await spawnForwarder({ to: { port }, there: delay });
    const load = spawnLoad({ target: line.target, groups });
    try {
      await load.answered(clients);
      for (let reload = 0; reload < times.reloads; reload++) {
        running.reload?.();
        await pause(times.interval);
      }
      const { sent, failed, connections } = total(await load.stop());
      return { sent, failed, opened: connections / clients };
    } finally {
      load.kill();
      line.kill();
    }
  });
  const sum = (values: readonly number[]): number => values.reduce((so, value) => so + value, 0);
  const rows = [...rounds].map(([{ name }, results]) => {
    const [failed, sent] = [sum(results.map((each) => each.failed)), sum(results.map((each) => each.sent))];
    return [
      name,
      `**${failed}**`,
      show(spread([sent])),
      `${((failed / sent) * 100).toFixed(2)} %`,
      show(spread(results.map(({ opened }) => opened)), 2),
    ];
  });
  const ours = rounds.get(contenders.prefork) ?? [];
  return {
    table: { heads: ['server', 'failed', 'of', 'share', 'connections per client'], rows },
    panels: [
      {
        title: 'Requests failed, per cent',
        better: 'less',
        bars: bars(rounds, ({ failed, sent }) => (failed / sent) * 100),
        digits: 2,
        aim: 0,
      },
      { title: 'Connections per client', better: 'less', bars: bars(rounds, ({ opened }) => opened), digits: 2 },
    ],
    values: ours.length === 0 ? {} : { 'failed.prefork': sum(ours.map(({ failed }) => failed)) },
  };
}
