/**
 * `npm run bench [-- --quick] [--only kept,slowline,...] [--rounds n] [--write] [--render]`: prefork beside its peers on
 * one machine, interleaved, from a fresh start each time. Prints tables; `--write` puts the figures of each scenario, as
 * soon as it is over, among those of the others in bench/figures.json, and makes bench/RESULTS.md and its plots anew;
 * `--render` does only that. Nothing is asserted: a timed test that fails on a busy machine teaches people to ignore it.
 */
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../test/support/paths.ts';
import { withoutWrk } from './clients/wrk.ts';
import { type Contender, endAll } from './contenders/contender.ts';
import { mergeFigures, readFigures, type Taken } from './report/figures.ts';
import { writePage } from './report/page.ts';
import { type Scenario, scenarios } from './scenarios/index.ts';
import { markdownTable } from './stats.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    write: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
  },
});
const { quick, write } = values;
const rounds = values.rounds === undefined ? (quick ? 1 : 3) : Number(values.rounds);
const figuresPath = join(root, 'bench/figures.json');
const order = Object.keys(scenarios);
const wanted = values.only?.split(',') ?? order;
const unknown = wanted.filter((name) => !order.includes(name));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    endAll();
    process.exit(130);
  });
}

if (unknown.length > 0 || !(rounds >= 1)) {
  process.stderr.write(`no such scenario: ${unknown.join(', ')}; there are ${order.join(', ')}, and 1 round or more\n`);
  process.exit(2);
}
if (values.render) writePage(join(root, 'bench'), readFigures(figuresPath), order);
else await measure();

async function measure(): Promise<void> {
  let failed = 0;
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (!wanted.includes(name)) continue;
    try {
      const taken = await take(name, scenario);
      process.stdout.write(`\n### ${taken.heading}\n\n${markdownTable(taken.table.heads, taken.table.rows)}\n`);
      if (write) writePage(join(root, 'bench'), mergeFigures(figuresPath, { [name]: taken }), order);
    } catch (error) {
      // The others are measured all the same.
      failed++;
      process.stderr.write(
        `${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
    }
  }
  if (failed > 0) process.exitCode = 1;
}

async function take(name: string, scenario: Scenario): Promise<Taken> {
  if (name === 'cclient') {
    const reason = withoutWrk();
    if (reason !== null) throw new Error(reason);
  }
  const reasons = new Map<Contender, string>();
  for (const contender of scenario.contenders) {
    const reason = await contender.unavailable();
    if (reason !== null) reasons.set(contender, reason);
  }
  const present = scenario.contenders.filter((each) => !reasons.has(each));
  const load = loadavg()[0] ?? 0;
  // What else runs takes its part of everything that is measured by the clock.
  const busy = load > availableParallelism() ? ' (a busy machine: only ratios say something)' : '';
  const outcome = await scenario.run(present, { quick, rounds });
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const versions = present.map((each) => `${each.name} ${each.version()}`).join('; ');
  const missing = [...reasons].map(([each, reason]) => `${each.name}: left out, ${reason}`);
  return {
    ...outcome,
    heading: scenario.heading,
    how: scenario.how,
    circumstances: `Taken on ${new Date().toISOString().slice(0, 10)} with Node ${process.version}, ${availableParallelism()} cores, ${gib} GiB, load average ${load.toFixed(1)} at the start${busy}; ${rounds === 1 ? 'one round' : `median (least to most) of ${rounds} rounds, interleaved`}${quick ? ', quick' : ''}; the clients run on the same cores.`,
    versions: [versions, ...missing],
  };
}
