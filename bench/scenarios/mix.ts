/** Keep-alive, fresh and event-loop-blocking requests together: what decides how connections are queued. */
import { spawnLoad } from '../../test/support/load/child.ts';
import type { Group, Report } from '../../test/support/load/mix.ts';
import { Tally } from '../../test/support/load/tally.ts';
import { pause } from '../../test/support/until.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, show, spread } from '../stats.ts';

const groups: readonly Group[] = [
  { kind: 'idle', name: 'keep-alive', path: '/', clients: 24, think: 10 },
  { kind: 'fresh', path: '/', clients: 8, think: 4 },
  { kind: 'fresh', name: 'blocking', path: '/spin?ms=100', clients: 2, think: 300, timeout: 30_000 },
  { kind: 'fresh', name: 'stuck', path: '/spin?ms=1500', clients: 1, think: 3_000, timeout: 30_000 },
];

export async function mixed(plan: Plan, seconds: number): Promise<Outcome> {
  const rounds = await runRounds(plan, (port) => underLoad(port, seconds));
  const rows = [...rounds].map(([contender, reports]) => {
    const pick = (group: string, look: (tally: Tally) => number) =>
      show(spread(reports.map((report) => look(tallyOf(report, group)))), 1);
    const quantile = (share: number) => (tally: Tally) => tally.overall.quantile(share);
    return [
      contender.name,
      show(spread(reports.map((report) => rate(report, seconds)))),
      pick('keep-alive', quantile(0.99)),
      pick('keep-alive', (tally) => tally.overall.max),
      pick('fresh', quantile(0.99)),
      pick('fresh', (tally) => tally.overall.max),
      String(reports.reduce((sum, report) => sum + failed(report), 0)),
    ];
  });
  const heads = ['server', 'requests/s', 'keep-alive p99, ms', 'longest', 'fresh p99, ms', 'longest', 'failed'];
  const p99 = (group: string) => bars(rounds, (report) => tallyOf(report, group).overall.quantile(0.99));
  return {
    table: { heads, rows },
    panels: [
      { title: 'p99 of keep-alive requests, ms', better: 'less', bars: p99('keep-alive'), digits: 1 },
      { title: 'p99 of requests on fresh connections, ms', better: 'less', bars: p99('fresh'), digits: 1 },
    ],
    values: {},
  };
}

async function underLoad(port: number, seconds: number): Promise<Report> {
  const load = spawnLoad({ target: { port }, groups });
  try {
    await pause(seconds * 1000);
    return await load.stop();
  } finally {
    load.kill();
  }
}

function tallyOf(report: Report, group: string): Tally {
  const data = report[group];
  return data === undefined ? new Tally() : new Tally().merge(data);
}

function rate(report: Report, seconds: number): number {
  return (tallyOf(report, 'keep-alive').answered + tallyOf(report, 'fresh').answered) / seconds;
}

function failed(report: Report): number {
  return Object.keys(report).reduce((sum, group) => sum + tallyOf(report, group).failed, 0);
}
