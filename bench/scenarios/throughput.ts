/** Requests per second over keep-alive connections, and new connections per second. */
import { measureConnections } from '../clients/connections.ts';
import { measureThroughput } from '../clients/throughput.ts';
import type { Contender } from '../contenders/contender.ts';
import { contenders } from '../contenders/index.ts';
import { withCpu } from '../processes.ts';
import type { Outcome, Panel } from '../report/figures.ts';
import { type Plan, type Rounds, runRounds } from '../rounds.ts';
import { bars, ratio, show, spread } from '../stats.ts';

/** What both measurements have in common. */
export interface Rate {
  readonly perSecond: number;
  readonly done: number;
  readonly cpu: number;
}

/** Enough to keep every worker busy. */
const keptConnections = 32;
const openConnections = 64;

export async function throughput(
  plan: Plan,
  seconds: number,
  reference: Contender = contenders.clusterNone,
): Promise<Outcome> {
  const rounds = await runRounds(plan, (port) =>
    withCpu(port, () => measureThroughput(port, seconds, keptConnections)),
  );
  const rows = [...rounds].map(([contender, results]) => [
    ...rateColumns(rounds, contender, reference),
    show(spread(results.map((each) => each.p99)), 1),
    String(results.reduce((sum, each) => sum + each.errors, 0)),
  ]);
  const heads = [...rateHeads('requests/s', reference), 'p99, ms', 'errors'];
  return { table: { heads, rows }, panels: ratePanels(rounds, 'Requests a second', 'per request'), values: {} };
}

export async function connections(plan: Plan, seconds: number): Promise<Outcome> {
  const rounds = await runRounds(plan, (port) =>
    withCpu(port, () => measureConnections(port, seconds, openConnections)),
  );
  const rows = [...rounds].map(([contender, results]) => [
    ...rateColumns(rounds, contender, contenders.cluster),
    String(results.reduce((sum, each) => sum + each.failed, 0)),
  ]);
  const heads = [...rateHeads('connections/s', contenders.cluster), 'failed'];
  return { table: { heads, rows }, panels: ratePanels(rounds, 'Connections a second', 'per connection'), values: {} };
}

/** The rate, and what each of what is counted costs. */
export function ratePanels(rounds: Rounds<Rate>, rate: string, each: string): readonly Panel[] {
  return [
    { title: rate, better: 'more', bars: bars(rounds, ({ perSecond }) => perSecond) },
    {
      title: `Processor time ${each}, µs`,
      better: 'less',
      bars: bars(rounds, ({ cpu, done }) => (cpu / done) * 1e6),
      digits: 1,
    },
  ];
}

export function rateHeads(unit: string, reference: Contender): readonly string[] {
  return ['server', unit, `against ${reference.name}`, 'processor time each, µs', `against ${reference.name}`];
}

export function rateColumns(rounds: Rounds<Rate>, contender: Contender, reference: Contender): readonly string[] {
  const rates = (who: Contender) => (rounds.get(who) ?? []).map((each) => each.perSecond);
  const costs = (who: Contender) => (rounds.get(who) ?? []).map((each) => (each.cpu / each.done) * 1e6);
  return [
    contender.name,
    show(spread(rates(contender))),
    show(ratio(rates(contender), rates(reference)), 3),
    show(spread(costs(contender)), 1),
    show(ratio(costs(contender), costs(reference)), 3),
  ];
}
