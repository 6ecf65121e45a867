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

interface Weights {
  readonly plain: Weight;
  /** The first worker of a release, and one that is started when others have been. */
  readonly first: Weight;
  readonly later: Weight;
  readonly quietMaster: Weight;
  readonly fullMaster: Weight;
}

const bench = join(root, 'bench/apps/app.cjs');
/** An app that loads something: a boot is not only the supervisor's. */
const express = join(root, 'bench/apps/express.cjs');
const bin = join(root, 'bin/prefork.js');
/** Milliseconds after which a process is taken as idle. */
const rest = 2_500;

export async function weigh(rounds: number): Promise<Outcome> {
  const rows: string[][] = [];
  const values: Record<string, number> = {};
  const names: { readonly node: Node; readonly weights: readonly Weights[]; readonly boots: readonly Weights[] }[] = [];
  for (const node of nodes()) {
    const weights: Weights[] = [];
    const boots: Weights[] = [];
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`weight: round ${round} of ${rounds}: Node ${node.major}\n`);
      weights.push(await weighAll(node, bench));
      boots.push(await weighAll(node, express));
    }
    names.push({ node, weights, boots });
  }
  const median = (all: readonly Weights[], who: keyof Weights, of: keyof Weight): number =>
    medianOf(all.map((each) => each[who][of]));
  const over = (all: readonly Weights[], who: keyof Weights, of: keyof Weight): number =>
    medianOf(all.map((each) => each[who][of] - each.plain[of]));
  for (const { node, weights, boots } of names) {
    values[`worker.rss.${node.major}`] = over(weights, 'first', 'rss');
    values[`worker.cpu.${node.major}`] = over(weights, 'first', 'cpu');
    values[`master.quiet.${node.major}`] = over(weights, 'quietMaster', 'rss');
    values[`master.full.${node.major}`] = over(weights, 'fullMaster', 'rss');
    for (const [app, all] of [
      ['bench app', weights],
      ['Express', boots],
    ] as const) {
      const row = (what: string, who: keyof Weights): void => {
        const difference = (of: keyof Weight): string => (who === 'plain' ? '' : ` (${signed(over(all, who, of))})`);
        const cell = (of: keyof Weight): string => `${median(all, who, of).toFixed(1)}${difference(of)}`;
        rows.push([node.major, app, what, cell('rss'), cell('pss'), cell('cpu')]);
      };
      row('plain node', 'plain');
      row('worker 1', 'first');
      row('worker 4', 'later');
      if (app === 'Express') continue;
      row('master, metrics off', 'quietMaster');
      row('master, everything on', 'fullMaster');
    }
  }
  const panel = (
    title: string,
    of: keyof Weight,
    who: readonly (readonly [string, keyof Weights])[],
    express = false,
  ): Panel => ({
    title,
    better: 'less',
    digits: 1,
    bars: names.flatMap(({ node, weights, boots }) =>
      who.map(([name, which]) => ({
        name: `${name}, Node ${node.major}`,
        value: median(express ? boots : weights, which, of),
      })),
    ),
  });
  const ofWorkers = [
    ['node', 'plain'],
    ['prefork worker', 'first'],
  ] as const;
  const ofMasters = [
    ['node', 'plain'],
    ['prefork master, metrics off', 'quietMaster'],
    ['prefork master, all on', 'fullMaster'],
  ] as const;
  const ofBoots = [
    ['node', 'plain'],
    ['prefork worker 1', 'first'],
    ['prefork worker 4', 'later'],
  ] as const;
  return {
    table: {
      heads: ['Node', 'app', 'process', 'RSS, MB (over plain node)', 'PSS, MB', 'processor time since its start, ms'],
      rows,
    },
    panels: [
      panel('Worker, RSS in MB', 'rss', ofWorkers),
      panel('Boot of a worker, ms of processor time', 'cpu', ofWorkers),
      panel('Master, RSS in MB', 'rss', ofMasters),
      panel('Boot of a worker with Express, ms of processor time', 'cpu', ofBoots, true),
    ],
    values,
  };
}

const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(1)}`;

async function weighAll(node: Node, app: string): Promise<Weights> {
  const plain = await withProcess(node, [app], {}, async (running) => weighOne(running.master));
  const quiet = await withProcess(node, [bin, app, '-w', '1', '--no-metrics'], {}, async ({ master }) =>
    weighOne(master),
  );
  const port = await freePort();
  const full = ['-w', '1', '--admin', `127.0.0.1:${port}`, '--access-log', '/dev/null', '--statsd', '127.0.0.1:9'];
  const fullMaster = await withProcess(node, [bin, app, ...full], {}, async ({ master }) => weighOne(master));
  const [first, later] = await withProcess(node, [bin, app, '-w', '1'], { scales: true }, async (running, port) => {
    const weighed = await weighOne(workersOf(port, running.master)[0] ?? null);
    for (let workers = 2; workers <= 4; workers++) {
      running.scale?.(1);
      await until(`${workers} workers`, () => workersOf(port, running.master).length === workers);
      await pause(800);
    }
    return [weighed, await weighOne(workersOf(port, running.master).at(-1) ?? null)] as const;
  });
  return { plain, first, later, quietMaster: quiet, fullMaster };
}

async function weighOne(pid: number | null): Promise<Weight> {
  if (pid === null) throw new Error('there is no such process');
  await pause(rest);
  return { ...memoryOf(pid), cpu: processorSeconds([pid]) * 1000 };
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
