/** Rates that a client in C sees: it takes less of the cores than one in JavaScript, so that servers differ more. */
import { measureWithWrk } from '../clients/wrk.ts';
import { contenders } from '../contenders/index.ts';
import { withCpu } from '../processes.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, medianOf, ratio, show, spread } from '../stats.ts';

export async function cClient(plan: Plan, seconds: number): Promise<Outcome> {
  const rounds = await runRounds(plan, async (port) => {
    const kept = await withCpu(port, () => measureWithWrk({ port, seconds, connections: 32, fresh: false }));
    const fresh = await withCpu(port, () => measureWithWrk({ port, seconds, connections: 64, fresh: true }));
    return { kept, fresh };
  });
  const of = (who: Parameters<typeof rounds.get>[0], how: 'kept' | 'fresh'): readonly number[] =>
    (rounds.get(who) ?? []).map((each) => each[how].perSecond);
  const against = (who: Parameters<typeof rounds.get>[0], how: 'kept' | 'fresh') =>
    ratio(of(who, how), of(contenders.cluster, how));
  const rows = [...rounds].map(([who, results]) => [
    who.name,
    show(spread(of(who, 'kept'))),
    show(against(who, 'kept'), 2),
    show(spread(of(who, 'fresh'))),
    show(against(who, 'fresh'), 2),
    show(spread(results.map(({ fresh }) => (fresh.cpu / fresh.done) * 1e6)), 1),
    String(results.reduce((sum, { kept, fresh }) => sum + kept.failed + fresh.failed, 0)),
  ]);
  const ratios = {
    'connections.against.cluster': medianOf([against(contenders.prefork, 'fresh').median]),
    'requests.against.cluster': medianOf([against(contenders.prefork, 'kept').median]),
  };
  return {
    table: {
      heads: [
        ...['server', 'requests/s', 'against node:cluster', 'connections/s', 'against node:cluster'],
        ...['processor time per connection, µs', 'failed'],
      ],
      rows,
    },
    panels: [
      {
        title: 'Requests a second, kept connections',
        better: 'more',
        bars: bars(rounds, ({ kept }) => kept.perSecond),
      },
      {
        title: 'Requests a second, a connection for each',
        better: 'more',
        bars: bars(rounds, ({ fresh }) => fresh.perSecond),
        ...(rounds.has(contenders.cluster) ? { aim: 1.8 * medianOf(of(contenders.cluster, 'fresh')) } : {}),
      },
    ],
    values: Object.fromEntries(Object.entries(ratios).filter(([, value]) => Number.isFinite(value))),
  };
}
