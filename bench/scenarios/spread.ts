/** How evenly keep-alive connections lie over the workers, and what requests that need 5 ms of processor time wait for it. */
import { connectionsOf, isAlive } from '../../test/support/proc.ts';
import { until } from '../../test/support/until.ts';
import { Kept } from '../clients/kept.ts';
import type { Contender, Running } from '../contenders/contender.ts';
import { contenders } from '../contenders/index.ts';
import { startFront, withoutNginx } from '../contenders/nginx.ts';
import { workersOf } from '../processes.ts';
import type { Outcome, Panel } from '../report/figures.ts';
import { type Plan, type Rounds, runRounds } from '../rounds.ts';
import { bars, coefficientOfVariation, medianOf, show, spread } from '../stats.ts';

/** Requests a second of all connections together: a little over half of what two cores can do at 5 ms each. */
const rate = 200;

export interface SpreadSizes {
  readonly connections: readonly number[];
  /** Seconds of requests. */
  readonly seconds: number;
  /** The number of connections with which a reload and more workers are tried. */
  readonly changes: number;
}

interface Spread {
  /** Coefficient of variation of connections per worker: as opened, after the requests, after a reload, after scale +2. */
  readonly opened: number;
  readonly later: number;
  readonly reloaded: number;
  readonly scaled: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

const fronts = ['direct', 'nginx'] as const;

export async function spreadOut(plan: Plan, sizes: SpreadSizes): Promise<Outcome> {
  const all = new Map<string, Rounds<Spread>>();
  for (const front of fronts) {
    if (front === 'nginx' && withoutNginx() !== null) continue;
    for (const count of sizes.connections) {
      const title = `${plan.title}, ${count} connections, ${front}`;
      const changes = front === 'direct' && count === sizes.changes;
      all.set(
        `${front}.${count}`,
        await runRounds({ ...plan, title }, (port, running) =>
          measure(port, running, { workers: plan.workers, count, seconds: sizes.seconds, front, changes }),
        ),
      );
    }
  }
  const rows = [...all].flatMap(([key, rounds]) =>
    [...rounds].map(([{ name }, results]) => [
      ...key.split('.').reverse(),
      name,
      ...(['opened', 'later', 'reloaded', 'scaled'] as const).map((when) => figure(results, when, 2)),
      figure(results, 'p50', 1),
      figure(results, 'p99', 1),
      String(results.reduce((sum, { failed }) => sum + failed, 0)),
    ]),
  );
  const heads = [
    ...['connections', 'by', 'server', 'spread as opened', 'after requests', 'after a reload', 'after scale +2'],
    ...['p50, ms', 'p99, ms', 'failed'],
  ];
  return { table: { heads, rows }, panels: panels(all, sizes), values: values(all, sizes) };
}

interface Step {
  readonly workers: number;
  readonly count: number;
  readonly seconds: number;
  readonly front: (typeof fronts)[number];
  readonly changes: boolean;
}

async function measure(port: number, running: Running, step: Step): Promise<Spread> {
  const front = step.front === 'nginx' ? await startFront(port) : null;
  const apart = step.count > 500 ? 4 : 20;
  const client = await Kept.open({ port: front?.port ?? port, connections: step.count, apart, path: '/' }).catch(
    async (error: unknown) => {
      await front?.stop();
      throw error;
    },
  );
  try {
    client.path('/spin?ms=5');
    const look = (): number => unevenness(port, running);
    const opened = look();
    // Thought is uniform, so its mean is half of the most.
    const think = (2 * 1000 * step.count) / rate;
    const talked = await client.talk(step.seconds, think);
    const later = look();
    const changed = { reloaded: Number.NaN, scaled: Number.NaN, failed: 0 };
    if (step.changes) {
      const old = workersOf(port, running.master);
      running.reload?.();
      const during = await client.talk(8, think);
      // Workers that are about to end would count as ones with few connections.
      await until('the old workers to be gone', () => !old.some(isAlive), { within: 30_000 }).catch(() => undefined);
      const settled = await client.talk(4, think);
      changed.reloaded = look();
      running.scale?.(2);
      const after = running.scale === null ? null : await client.talk(12, think);
      changed.scaled = running.scale === null ? Number.NaN : look();
      changed.failed = during.failed + settled.failed + (after?.failed ?? 0);
    }
    const failed = talked.failed + changed.failed;
    return { opened, later, ...changed, failed, p50: talked.p50, p99: talked.p99 };
  } finally {
    client.end();
    await front?.stop();
  }
}

function unevenness(port: number, running: Running): number {
  return coefficientOfVariation(workersOf(port, running.master).map((pid) => connectionsOf(pid, port)));
}

function figure(results: readonly Spread[], of: keyof Spread, digits: number): string {
  const values = results.map((each) => each[of]).filter(Number.isFinite);
  return values.length === 0 ? '' : show(spread(values), digits);
}

function panels(all: ReadonlyMap<string, Rounds<Spread>>, sizes: SpreadSizes): Panel[] {
  const found = (key: string, make: (rounds: Rounds<Spread>) => Panel): Panel[] => {
    const rounds = all.get(key);
    return rounds === undefined ? [] : [make(rounds)];
  };
  const { changes } = sizes;
  return [
    ...sizes.connections.flatMap((count) =>
      found(`direct.${count}`, (rounds) => ({
        title: `Spread of ${count.toLocaleString('en')} connections as opened`,
        better: 'less',
        bars: bars(rounds, ({ opened }) => opened),
        digits: 2,
      })),
    ),
    ...found(`nginx.${changes}`, (rounds) => ({
      title: `Spread of nginx's connections, ${changes} clients`,
      better: 'less',
      bars: bars(rounds, ({ later }) => later),
      digits: 2,
    })),
    ...found(`direct.${changes}`, (rounds) => ({
      title: `Spread after a reload, ${changes} connections`,
      better: 'less',
      bars: bars(rounds, ({ reloaded }) => reloaded),
      digits: 2,
    })),
    ...found(`direct.${changes}`, (rounds) => ({
      title: `Spread after scale +2, ${changes} connections`,
      better: 'less',
      bars: bars(rounds, ({ scaled }) => scaled),
      digits: 2,
    })),
    ...fronts.flatMap((front) =>
      found(`${front}.${changes}`, (rounds) => ({
        title: `p99 of 5 ms requests, ${changes} ${front === 'nginx' ? 'behind nginx' : 'connections'}, ms`,
        better: 'less',
        bars: bars(rounds, ({ p99 }) => p99),
        digits: 1,
      })),
    ),
  ];
}

function values(all: ReadonlyMap<string, Rounds<Spread>>, sizes: SpreadSizes): Record<string, number> {
  const pick = (key: string, who: Contender, of: keyof Spread): number =>
    medianOf((all.get(key)?.get(who) ?? []).map((each) => each[of]));
  const { prefork, cluster } = contenders;
  const { changes } = sizes;
  const p99 = (who: Contender): number => pick(`direct.${changes}`, who, 'p99');
  const found = {
    ...Object.fromEntries(sizes.connections.map((n) => [`cv.direct.${n}`, pick(`direct.${n}`, prefork, 'opened')])),
    [`cv.reload.${changes}`]: pick(`direct.${changes}`, prefork, 'reloaded'),
    [`cv.scale.${changes}`]: pick(`direct.${changes}`, prefork, 'scaled'),
    [`p99.against.cluster.${changes}`]: p99(prefork) / p99(cluster),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => Number.isFinite(value)));
}
