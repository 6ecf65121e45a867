/**
 * What a connection and a request cost a worker, against a bare one: one worker each, all started once, and then short
 * slices of load in turn, A B C A B C ..., so that what slows the whole machine meets all of them.
 */
import { freePort } from '../../test/support/request.ts';
import { measureConnections } from '../clients/connections.ts';
import { measureThroughput } from '../clients/throughput.ts';
import { measureWithWrk, withoutWrk } from '../clients/wrk.ts';
import type { Contender, Running } from '../contenders/contender.ts';
import { contenders } from '../contenders/index.ts';
import { processorSeconds, workersOf } from '../processes.ts';
import type { Outcome } from '../report/figures.ts';
import type { Plan } from '../rounds.ts';
import { bars, ratio, show, spread } from '../stats.ts';

interface Started {
  readonly contender: Contender;
  readonly running: Running;
  readonly port: number;
  readonly workers: readonly number[];
}

/** Microseconds of the worker's processor time. */
interface Costs {
  readonly connection: number;
  readonly request: number;
}

export interface CostSizes {
  /** Slices of each. */
  readonly slices: number;
  /** Seconds, whole ones, of a slice. */
  readonly seconds: number;
}

/** Slices that do not count. */
const warmUps = 2;

export async function cost(plan: Plan, { slices, seconds }: CostSizes): Promise<Outcome> {
  const started: Started[] = [];
  const rounds = new Map<Contender, Costs[]>(plan.contenders.map((each) => [each, []]));
  try {
    for (const contender of plan.contenders) {
      const port = await freePort();
      const running = await contender.start(port, 1);
      started.push({ contender, running, port, workers: workersOf(port, running.master) });
    }
    // The first slices of each are for the compiler.
    for (let slice = 1 - warmUps; slice <= slices; slice++) {
      process.stderr.write(`${plan.title}: slice ${slice} of ${slices}\n`);
      const order = slice % 2 === 0 ? started : started.toReversed();
      for (const each of order) {
        const connection = await perOne(each, seconds, true);
        const request = await perOne(each, seconds, false);
        if (slice > 0) rounds.get(each.contender)?.push({ connection, request });
      }
    }
  } finally {
    for (const { running } of started) await running.stop();
  }
  return outcome(rounds);
}

async function perOne({ port, workers }: Started, seconds: number, fresh: boolean): Promise<number> {
  const before = processorSeconds(workers);
  const { done } = await load(port, seconds, fresh);
  return ((processorSeconds(workers) - before) / done) * 1e6;
}

const connections = 16;

async function load(port: number, seconds: number, fresh: boolean): Promise<{ readonly done: number }> {
  if (withoutWrk() === null) return await measureWithWrk({ port, seconds, connections, fresh });
  return fresh
    ? await measureConnections(port, seconds, connections)
    : await measureThroughput(port, seconds, connections);
}

function outcome(rounds: ReadonlyMap<Contender, readonly Costs[]>): Outcome {
  const { clusterNone, preforkMetrics, preforkQuiet, preforkText, preforkJson } = contenders;
  const of = (who: Contender, what: keyof Costs): readonly number[] =>
    (rounds.get(who) ?? []).map((each) => each[what]);
  const against = (who: Contender, other: Contender, what: keyof Costs) => ratio(of(who, what), of(other, what));
  const rows = [...rounds.keys()].map((who) => [
    who.name,
    show(spread(of(who, 'connection')), 1),
    show(against(who, clusterNone, 'connection'), 3),
    show(spread(of(who, 'request')), 2),
    show(against(who, clusterNone, 'request'), 3),
    show(against(who, preforkMetrics, 'request'), 3),
  ]);
  const ratios = {
    'connection.metrics': against(preforkMetrics, clusterNone, 'connection').median,
    'connection.quiet': against(preforkQuiet, clusterNone, 'connection').median,
    'request.metrics': against(preforkMetrics, clusterNone, 'request').median,
    'request.quiet': against(preforkQuiet, clusterNone, 'request').median,
    'accesslog.text': against(preforkText, preforkMetrics, 'request').median,
    'accesslog.json': against(preforkJson, preforkMetrics, 'request').median,
  };
  const relative = (what: keyof Costs, other: Contender, who: readonly Contender[]) =>
    bars(
      new Map(who.filter((each) => rounds.has(each)).map((each) => [each, [against(each, other, what).median]])),
      (x) => x,
    );
  const without = [clusterNone, preforkMetrics, preforkQuiet];
  return {
    table: {
      heads: [
        ...['worker', 'per connection, µs', 'against a bare worker', 'per request, µs', 'against a bare worker'],
        'against prefork, metrics',
      ],
      rows,
    },
    panels: [
      {
        title: 'Per connection, against a bare worker',
        better: 'less',
        bars: relative('connection', clusterNone, without),
        digits: 3,
        aim: 1.03,
      },
      {
        title: 'Per kept request, against a bare worker',
        better: 'less',
        bars: relative('request', clusterNone, without),
        digits: 3,
      },
      {
        title: 'Per request with an access log',
        better: 'less',
        bars: relative('request', preforkMetrics, [preforkMetrics, preforkText, preforkJson]),
        digits: 3,
        aim: 1.15,
      },
    ],
    values: Object.fromEntries(Object.entries(ratios).filter(([, value]) => Number.isFinite(value))),
  };
}
