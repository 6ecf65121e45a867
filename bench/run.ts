/**
 * `npm run bench [-- --quick] [--only throughput,connections,mix,reloads] [--rounds n] [--write]`: prefork beside its
 * peers on one machine, interleaved, from a fresh start each time. Prints tables; `--write` puts them between the marks
 * in bench/RESULTS.md, whose prose says what follows from them. Nothing is asserted: a timed test that fails on a busy
 * machine teaches people to ignore it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../test/support/paths.ts';
import type { Contender } from './contenders/contender.ts';
import { contenders } from './contenders/index.ts';
import { mixed } from './scenarios/mix.ts';
import { reloads } from './scenarios/reloads.ts';
import { connections, throughput } from './scenarios/throughput.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const { quick } = values;
const rounds = values.rounds === undefined ? (quick ? 1 : 5) : Number(values.rounds);
const cores = availableParallelism();
const pool = 2 * cores + 1;

const all = Object.values(contenders);
const reasons = new Map<Contender, string>();
for (const contender of all) {
  const reason = await contender.unavailable();
  if (reason !== null) reasons.set(contender, reason);
}
const present = (list: readonly Contender[]): Contender[] => list.filter((each) => !reasons.has(each));

const { bare, cluster, clusterNone, preforkShared, preforkPerWorker, pm2, gunicorn, puma } = contenders;
const { preforkQuiet, preforkMetrics, preforkText, preforkJson } = contenders;
const scenarios = {
  throughput: {
    heading: `Keep-alive throughput, ${cores} workers`,
    run: () =>
      throughput(
        {
          title: 'throughput',
          contenders: present([bare, cluster, clusterNone, preforkShared, preforkPerWorker, pm2, gunicorn, puma]),
          rounds,
          workers: cores,
        },
        quick ? 2 : 5,
      ),
  },
  observability: {
    heading: `What metrics and the access log cost: keep-alive, ${cores} workers`,
    run: () =>
      throughput(
        {
          title: 'observability',
          contenders: present([clusterNone, preforkQuiet, preforkMetrics, preforkText, preforkJson]),
          rounds,
          workers: cores,
        },
        quick ? 2 : 5,
        preforkQuiet,
      ),
  },
  connections: {
    heading: `New connections, ${pool} workers`,
    run: () =>
      connections(
        {
          title: 'connections',
          contenders: present([bare, cluster, clusterNone, preforkShared, preforkPerWorker, pm2, gunicorn, puma]),
          rounds,
          workers: pool,
        },
        quick ? 2 : 5,
      ),
  },
  mix: {
    heading: `Keep-alive, fresh and blocking requests, ${pool} workers`,
    run: () =>
      mixed(
        {
          title: 'mix',
          contenders: present([cluster, clusterNone, preforkShared, preforkPerWorker]),
          rounds,
          workers: pool,
        },
        quick ? 5 : 12,
      ),
  },
  reloads: {
    heading: `Five reloads in 20 s under 72 clients of four kinds, ${pool} workers`,
    run: () =>
      reloads(
        {
          title: 'reloads',
          contenders: present([cluster, preforkShared, preforkPerWorker, pm2, gunicorn, puma]),
          rounds: Math.min(rounds, 3),
          workers: pool,
        },
        quick ? { reloads: 2, interval: 4_000 } : { reloads: 5, interval: 4_000 },
      ),
  },
};

const wanted = values.only?.split(',') ?? Object.keys(scenarios);
const parts = [machine()];
for (const [name, scenario] of Object.entries(scenarios)) {
  if (!wanted.includes(name)) continue;
  const part = `### ${scenario.heading}\n\n${await scenario.run()}\n`;
  process.stdout.write(`\n${part}`);
  parts.push(part);
}
if (values.write) writeTables(parts.join('\n'));

function writeTables(tables: string): void {
  const path = join(root, 'bench/RESULTS.md');
  const [begin, end] = ['<!-- tables -->', '<!-- end of tables -->'];
  const text = readFileSync(path, 'utf8');
  const before = text.slice(0, text.indexOf(begin) + begin.length);
  writeFileSync(path, `${before}\n${tables}\n${text.slice(text.indexOf(end))}`);
}

function machine(): string {
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const load = loadavg()[0]?.toFixed(1);
  const versions = present(all).map((each) => `- ${each.name}: ${each.version()}`);
  const missing = [...reasons].map(([each, reason]) => `- ${each.name}: left out, ${reason}`);
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${platform()}, ${cores} cores, ${gib} GiB;`,
    `load average ${load} at the start. Median (least to most) of ${rounds} rounds, interleaved; the clients run on the same cores.`,
    '',
    ...versions,
    ...missing,
    '',
  ].join('\n');
}
