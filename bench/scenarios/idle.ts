/** What a fleet costs that nobody asks for anything. */
import { pause, until } from '../../test/support/until.ts';
import { contenders } from '../contenders/index.ts';
import { memoryOf, processesOf, processorSeconds, withDescendants, workersOf } from '../processes.ts';
import type { Outcome, Panel } from '../report/figures.ts';
import { type Plan, type Rounds, runRounds } from '../rounds.ts';
import { bars, medianOf, show, spread } from '../stats.ts';

interface Idle {
  /** Per cent of a core. */
  readonly all: number;
  readonly master: number;
  /** Megabytes, each page once. */
  readonly memory: number;
}

export interface IdleSizes {
  readonly fleets: readonly number[];
  /** Seconds in which the fleet settles, and in which it is watched. */
  readonly settle: number;
  readonly watch: number;
}

export async function idle(plan: Plan, sizes: IdleSizes): Promise<Outcome> {
  const all = new Map<number, Rounds<Idle>>();
  for (const workers of sizes.fleets) {
    const rounds = await runRounds({ ...plan, workers, title: `${plan.title}, ${workers} workers` }, (port, running) =>
      watch(port, running.master, workers, sizes),
    );
    all.set(workers, rounds);
  }
  const rows = [...all].flatMap(([workers, rounds]) =>
    [...rounds].map(([{ name }, results]) => [
      String(workers),
      name,
      show(spread(results.map((each) => each.all)), 2),
      show(spread(results.map((each) => each.master)), 2),
      show(spread(results.map((each) => each.memory))),
    ]),
  );
  const ours = (workers: number, of: keyof Idle): number =>
    medianOf((all.get(workers)?.get(contenders.prefork) ?? []).map((each) => each[of]));
  const values = sizes.fleets.flatMap((workers): [string, number][] => [
    [`fleet.${workers}`, ours(workers, 'all')],
    [`master.${workers}`, ours(workers, 'master')],
  ]);
  return {
    table: { heads: ['workers', 'server', 'all, % of a core', 'of it the master', 'memory of all (PSS), MB'], rows },
    panels: [...all].flatMap(([workers, rounds]): Panel[] => [
      {
        title: `${workers} idle workers, % of a core`,
        better: 'less',
        bars: bars(rounds, (each) => each.all),
        digits: 2,
        aim: 1,
      },
      { title: `${workers} idle workers, memory, MB`, better: 'less', bars: bars(rounds, (each) => each.memory) },
    ]),
    values: Object.fromEntries(values.filter(([, value]) => Number.isFinite(value))),
  };
}

async function watch(port: number, master: number | null, workers: number, sizes: IdleSizes): Promise<Idle> {
  await until(
    `${workers} workers`,
    () => {
      const found = workersOf(port, master);
      // Threads are no processes, and a master without any has started them before it answers.
      return found.length >= workers || (found.length === 1 && found[0] === master);
    },
    { within: 30_000 },
  );
  await pause(sizes.settle * 1000);
  const pids = [...new Set([...processesOf(port), ...(master === null ? [] : withDescendants(master))])];
  const alone = master === null ? [] : [master];
  const before = { all: processorSeconds(pids), master: processorSeconds(alone), at: performance.now() };
  await pause(sizes.watch * 1000);
  const seconds = (performance.now() - before.at) / 1000;
  return {
    all: ((processorSeconds(pids) - before.all) / seconds) * 100,
    master: ((processorSeconds(alone) - before.master) / seconds) * 100,
    memory: pids.reduce((sum, pid) => sum + memoryOf(pid).pss, 0),
  };
}
