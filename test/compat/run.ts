/**
 * Suites that no one here wrote, against prefork:
 *
 *     npm run compat -- frameworks [WORD...]   real frameworks from the registry; those whose name has one of the words
 *     npm run compat -- node [WORD...]         Node's own tests of its servers, of which each runs in a worker
 *     npm run compat -- sample                 some of both, within minutes
 *     npm run compat                           all of both
 *
 *     --publish      write what was found into docs/compatibility.md
 *     --from DIR     a checkout of Node, or its test folder; NODE_TESTS in the environment is the same. Without it,
 *                    Debian's source of the same major of Node is fetched with apt
 *
 * What is fetched stays in .cache/compat. Exits with 1 if a request was lost, or a test differs without a known reason.
 */
import { parseArgs } from 'node:util';
import { markedWith } from '../support/proc.ts';
import { cellsOf, publish as publishFrameworks } from './frameworks/report.ts';
import { chooseFrameworks, isBad, runFramework } from './frameworks/suite.ts';
import { frameworks } from './frameworks/table.ts';
import { countsTable, meansNothing, publish as publishNode, unexplained } from './node/report.ts';
import { findTests, NoCopyError } from './node/source.ts';
import { runSuite } from './node/suite.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { publish: { type: 'boolean', default: false }, from: { type: 'string' } },
});
const [suite = 'all', ...words] = positionals;
const major = Number(process.versions.node.split('.')[0]);
/** Tests of Node's own in the sample. */
const sampled = 60;
let bad = false;
endWithUs();

/** What the suites start is detached from this process: when it ends, by Ctrl-C too, nothing of it is left behind. */
function endWithUs(): void {
  const mark = `${process.pid}-${Date.now()}`;
  process.env.COMPAT_SUITE = mark;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  process.on('exit', () => {
    for (const pid of markedWith(`COMPAT_SUITE=${mark}`).filter((each) => each !== process.pid)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It went by itself.
      }
    }
  });
}

async function runFrameworks(sample: boolean): Promise<void> {
  const titles = frameworks.map(({ title }) => title);
  const chosen = chooseFrameworks(words, sample);
  if (chosen.length === 0) throw new Error(`no framework is called ${words.join(', ')}`);
  for (const framework of chosen) {
    const row = await runFramework(framework);
    bad ||= isBad(row);
    if (values.publish) publishFrameworks([row], titles);
    const [title, version, , , requests, lost, result] = cellsOf(row);
    const counts = row.kind === 'checked' ? `${requests} requests, ${lost} lost: ` : '';
    console.log(`${title} ${version}: ${counts}${result}`);
    if (row.kind === 'broken') console.log(row.error);
    if (row.kind === 'skipped') console.log(row.reason);
  }
}

async function runNode(sample: boolean): Promise<void> {
  let source: ReturnType<typeof findTests>;
  try {
    source = findTests(values.from ?? process.env.NODE_TESTS ?? null, major);
  } catch (error) {
    if (!(error instanceof NoCopyError)) throw error;
    console.log(`Node's own tests are not run: ${error.message}`);
    bad ||= suite === 'node';
    return;
  }
  let shown = 0;
  const result = await runSuite({
    tests: source.tests,
    node: process.execPath,
    words,
    sample: sample ? sampled : null,
    lanes: 2,
    timeout: 20_000,
    onProgress: (done, of) => {
      if (done < of && done - shown < 100) return;
      shown = done;
      console.log(`${done} of ${of} of Node's own tests`);
    },
    onDifference: ({ name, symptom, alsoUnderCluster }) =>
      console.log(`differs: ${name}${alsoUnderCluster ? ' (under node:cluster too)' : ''}: ${symptom}`),
  });
  console.log(countsTable(result));
  if (meansNothing(result)) {
    bad = true;
    console.log('most of them fail without prefork too: this copy does not run here');
    return;
  }
  for (const { name, symptom, output } of unexplained(result)) {
    bad = true;
    console.log(`\n${name} differs: ${symptom}\n${output.slice(-2_000)}`);
  }
  if (values.publish && words.length === 0) publishNode(result, major, source.described);
}

switch (suite) {
  case 'frameworks':
    await runFrameworks(false);
    break;
  case 'node':
    await runNode(false);
    break;
  case 'sample':
  case 'all':
    await runFrameworks(suite === 'sample');
    await runNode(suite === 'sample');
    break;
  default:
    throw new Error(`there is no suite ${suite}: frameworks, node or sample`);
}
if (bad) process.exitCode = 1;
