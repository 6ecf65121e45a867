/** Five reloads in twenty seconds under four kinds of client: what is lost, and what the others notice. */
import { spawnLoad } from '../../test/support/load/child.ts';
import { type Group, type Report, total } from '../../test/support/load/mix.ts';
import { failureKinds, type Tally } from '../../test/support/load/tally.ts';
import { pause } from '../../test/support/until.ts';
import type { Running } from '../contenders/contender.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, show, spread } from '../stats.ts';

/** 72 clients: busy keep-alive, keep-alive with 0 to 60 ms of thought, a connection per request, 200 ms requests. */
const groups: readonly Group[] = [
  { kind: 'busy', path: '/', clients: 8 },
  { kind: 'idle', path: '/', clients: 32 },
  { kind: 'fresh', path: '/', clients: 8 },
  { kind: 'slow', path: '/slow?ms=200', clients: 24 },
];

export interface ReloadTimes {
  readonly reloads: number;
  /** Milliseconds from one reload to the next; half of it counts as "during". */
  readonly interval: number;
}

export async function reloads(plan: Plan, times: ReloadTimes): Promise<Outcome> {
  const rounds = await runRounds(plan, (port, running) => underLoad(port, running, times));
  const rows = [...rounds].map(([contender, reports]) => {
    const all = reports.map((report) => total(report));
    const sum = (pick: (tally: Tally) => number): number => all.reduce((so, tally) => so + pick(tally), 0);
    const quick = reports.map((report) => total(withoutSlow(report)));
    const p99 = (phase: string) => spread(quick.map((tally) => tally.latency.get(phase)?.quantile(0.99) ?? Number.NaN));
    const kinds = failureKinds.flatMap((kind) => {
      const count = sum((tally) => tally.failedAs(kind));
      return count === 0 ? [] : [`${kind} ${count}`];
    });
    return [
      contender.name,
      show({ median: sum((tally) => tally.sent), min: 0, max: 0 }).replace(/ .*/, ''),
      `**${sum((tally) => tally.failed)}**`,
      kinds.join(', ') || 'none',
      show(p99('steady'), 1),
      show(p99('reload'), 1),
      show(spread(quick.map((tally) => tally.overall.max))),
      show(spread(all.map((tally) => tally.pids.size))),
    ];
  });
  const heads = [
    ...['server', 'requests', 'lost', 'how', 'p99 steady, ms', 'p99 in reloads, ms', 'longest, ms'],
    'workers seen',
  ];
  return {
    table: { heads, rows },
    panels: [
      {
        title: 'Requests lost, of 100,000',
        better: 'less',
        bars: bars(rounds, (report) => (total(report).failed / total(report).sent) * 100_000),
        digits: 1,
        aim: 0,
      },
      {
        title: 'p99 in reloads, ms',
        better: 'less',
        bars: bars(rounds, (report) => total(withoutSlow(report)).latency.get('reload')?.quantile(0.99) ?? Number.NaN),
        digits: 1,
      },
    ],
    values: {},
  };
}

/** Requests that take 200 ms by themselves would hide what the others wait. */
function withoutSlow(report: Report): Report {
  return Object.fromEntries(Object.entries(report).filter(([name]) => name !== 'slow'));
}

async function underLoad(port: number, running: Running, times: ReloadTimes): Promise<Report> {
  const load = spawnLoad({ target: { port }, groups });
  try {
    await load.answered(100);
    for (let reload = 0; reload < times.reloads; reload++) {
      load.phase('steady');
      await pause(times.interval / 2);
      load.phase('reload');
      running.reload?.();
      await pause(times.interval / 2);
    }
    return await load.stop();
  } finally {
    load.kill();
  }
}
