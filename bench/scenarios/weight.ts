/** What a worker and a master weigh beside plain node, and what the boot of a worker costs, on every Node that is here. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';
import { freePort } from '../../test/support/request.ts';
import { pause, until } from '../../test/support/until.ts';
import { environment, type Running, startProcess } from '../contenders/contender.ts';
import { memoryOf, processorSeconds, workersOf } from '../processes.ts';
import type { Outcome, Panel } from '../report/figures.ts';
import { medianOf } from '../stats.ts';

export interface Node {
  readonly major: string;
  readonly path: string;
}

/** The Node that runs this, and those of other majors that the tests have put into the cache. */
export function nodes(): readonly Node[] {
  const own = { major: process.version.split('.')[0]?.slice(1) ?? '', path: process.execPath };
  const cache = join(root, '.cache');
  const others = (existsSync(cache) ? readdirSync(cache) : []).flatMap((folder) => {
    const major = /^node-(\d+)$/.exec(folder)?.[1];
    const path = join(cache, folder, 'node_modules/node/bin/node');
    return major === undefined || major === own.major || !existsSync(path) ? [] : [{ major, path }];
  });
  return [own, ...others].sort((a, b) => Number(a.major) - Number(b.major));
}

/** A process, once it has been idle for a moment. */
interface Weight {
  /** MB. */
  readonly rss: number;
  readonly pss: number;
  /** Milliseconds of processor time since its start. */
  readonly cpu: number;
}

interface Boots {
  readonly plain: Weight;
  /** The first worker of a release, and one that is started when others have been. */
  readonly first: Weight;
  readonly later: Weight;
}

interface Weights extends Boots {
  readonly quietMaster: Weight;
  readonly fullMaster: Weight;
}

const bench = join(root, 'bench/apps/app.cjs');
/** An app that loads something: a boot is not only the supervisor's. */
const express = join(root, 'bench/apps/express.cjs');
const bin = join(root, 'bin/prefork.js');
/** Milliseconds after which a process is taken as idle. */
const rest = 2_500;

/** @param quick only on the Node that runs this */
export async function weigh(rounds: number, quick: boolean): Promise<Outcome> {
  const rows: string[][] = [];
  const values: Record<string, number> = {};
  const all: { readonly node: Node; readonly weights: readonly Weights[]; readonly boots: readonly Boots[] }[] = [];
  for (const node of nodes().filter(({ path }) => !quick || path === process.execPath)) {
    const weights: Weights[] = [];
    const boots: Boots[] = [];
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`weight: round ${round} of ${rounds}: Node ${node.major}\n`);
      weights.push({ ...(await weighWorkers(node, bench)), ...(await weighMasters(node, bench)) });
      boots.push(await weighWorkers(node, express));
    }
    all.push({ node, weights, boots });
  }
  for (const { node, weights, boots } of all) {
    const ofBench = (pick: (each: Weights) => Weight): Compared => compare(weights, pick);
    const ofExpress = (pick: (each: Boots) => Weight): Compared => compare(boots, pick);
    const worker = ofBench(({ first }) => first);
    const quiet = ofBench(({ quietMaster }) => quietMaster);
    const full = ofBench(({ fullMaster }) => fullMaster);
    values[`worker.rss.${node.major}`] = worker.over('rss');
    values[`worker.cpu.${node.major}`] = worker.over('cpu');
    values[`master.quiet.${node.major}`] = quiet.over('rss');
    values[`master.full.${node.major}`] = full.over('rss');
    rows.push(
      [
        node.major,
        'bench app',
        'plain node',
        ...cells(
          ofBench(({ plain }) => plain),
          true,
        ),
      ],
      [node.major, 'bench app', 'worker 1', ...cells(worker)],
      [node.major, 'bench app', 'worker 4', ...cells(ofBench(({ later }) => later))],
      [node.major, 'bench app', 'master, metrics off', ...cells(quiet)],
      [node.major, 'bench app', 'master, everything on', ...cells(full)],
      [
        node.major,
        'Express',
        'plain node',
        ...cells(
          ofExpress(({ plain }) => plain),
          true,
        ),
      ],
      [node.major, 'Express', 'worker 1', ...cells(ofExpress(({ first }) => first))],
      [node.major, 'Express', 'worker 4', ...cells(ofExpress(({ later }) => later))],
    );
  }
  const panel = (
    title: string,
    pick: (each: (typeof all)[number]) => readonly (readonly [string, number])[],
  ): Panel => ({
    title,
    better: 'less',
    digits: 1,
    bars: all.flatMap((each) =>
      pick(each).map(([name, value]) => ({ name: `${name}, Node ${each.node.major}`, value })),
    ),
  });
  const worker = (title: string, of: keyof Weight): Panel =>
    panel(title, ({ weights }) => [
      ['node', compare(weights, ({ plain }) => plain).median(of)],
      ['prefork worker', compare(weights, ({ first }) => first).median(of)],
    ]);
  return {
    table: {
      heads: [
        'Node',
        'app',
        'process',
        'RSS, MB (over plain node)',
        'PSS, MB',
        'processor time of its boot, ms (over plain node)',
      ],
      rows,
    },
    panels: [
      worker('Worker, RSS in MB', 'rss'),
      worker('Boot of a worker, ms of processor time', 'cpu'),
      panel('Master, RSS in MB', ({ weights }) => [
        ['node', compare(weights, ({ plain }) => plain).median('rss')],
        ['prefork, metrics off', compare(weights, ({ quietMaster }) => quietMaster).median('rss')],
        ['prefork, everything on', compare(weights, ({ fullMaster }) => fullMaster).median('rss')],
      ]),
      panel('Boot with Express, ms of processor time', ({ boots }) => [
        ['node', compare(boots, ({ plain }) => plain).median('cpu')],
        ['prefork worker 1', compare(boots, ({ first }) => first).median('cpu')],
        ['prefork worker 4', compare(boots, ({ later }) => later).median('cpu')],
      ]),
    ],
    values,
  };
}

/** A process in all rounds, and beside plain node in the same round. */
interface Compared {
  readonly median: (of: keyof Weight) => number;
  readonly over: (of: keyof Weight) => number;
}

function compare<B extends Boots>(rounds: readonly B[], pick: (each: B) => Weight): Compared {
  return {
    median: (of) => medianOf(rounds.map((each) => pick(each)[of])),
    over: (of) => medianOf(rounds.map((each) => pick(each)[of] - each.plain[of])),
  };
}

/** Of shared pages, no difference is told: one process alone has all of them to itself. */
function cells({ median, over }: Compared, isPlain = false): string[] {
  const cell = (of: keyof Weight): string => `${median(of).toFixed(1)}${isPlain ? '' : ` (${signed(over(of))})`}`;
  return [cell('rss'), median('pss').toFixed(1), cell('cpu')];
}

const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(1)}`;

async function weighWorkers(node: Node, app: string): Promise<Boots> {
  const plain = await withProcess(node, [app], {}, async ({ master }) => weighOne(master));
  const [first, later] = await withProcess(node, [bin, app, '-w', '1'], { scales: true }, async (running, port) => {
    const weighed = await weighOne(workersOf(port, running.master)[0] ?? null);
    for (let workers = 2; workers <= 4; workers++) {
      running.scale?.(1);
      await until(`${workers} workers`, () => workersOf(port, running.master).length === workers);
      await bootTime(workersOf(port, running.master).at(-1) ?? 0);
    }
    return [weighed, await weighOne(workersOf(port, running.master).at(-1) ?? null)] as const;
  });
  return { plain, first, later };
}

async function weighMasters(node: Node, app: string): Promise<Pick<Weights, 'quietMaster' | 'fullMaster'>> {
  const weigh = (...more: readonly string[]): Promise<Weight> =>
    withProcess(node, [bin, app, '-w', '1', ...more], {}, async ({ master }) => weighOne(master));
  const admin = ['--admin', `127.0.0.1:${await freePort()}`];
  return {
    quietMaster: await weigh('--no-metrics'),
    fullMaster: await weigh(...admin, '--access-log', '/dev/null', '--statsd', '127.0.0.1:9'),
  };
}

async function weighOne(pid: number | null): Promise<Weight> {
  if (pid === null) throw new Error('there is no such process');
  const cpu = await bootTime(pid);
  await pause(rest);
  return { ...memoryOf(pid), cpu };
}

/** Milliseconds of processor time of a process until it has nothing more to do; a heartbeat is next to nothing. */
async function bootTime(pid: number): Promise<number> {
  let last = Number.NEGATIVE_INFINITY;
  return await until(
    `process ${pid} to have booted`,
    () => {
      const before = last;
      last = processorSeconds([pid]) * 1000;
      return last - before < 1.5 ? last : null;
    },
    { every: 300, within: 30_000 },
  );
}

/** With folders of its own for whatever is cached, so that the first worker is one that finds nothing. */
async function withProcess<T>(
  node: Node,
  args: readonly string[],
  options: { readonly scales?: boolean },
  look: (running: Running, port: number) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'bench-weight-'));
  const port = await freePort();
  const [script = '', ...rest] = args;
  const bind = script === bin ? ['-b', `127.0.0.1:${port}`, '--max-workers', '8'] : [];
  const env = environment(port, { HOME: home, TMPDIR: home, XDG_CACHE_HOME: home, XDG_RUNTIME_DIR: home });
  try {
    const running = await startProcess(node.path, [script, ...rest, ...bind], port, { ...options, cwd: home, env });
    try {
      return await look(running, port);
    } finally {
      await running.stop();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
