/** Runs Node's own tests bare and under prefork, and finds what differs. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, runTest, type Where } from './run-test.ts';

/** The folders of `lib` whose tests are run, as the tests' names begin. */
export const families = ['http', 'https', 'http2', 'net', 'tls', 'dgram'] as const;
export type Family = (typeof families)[number];

export interface Difference {
  readonly name: string;
  readonly family: Family;
  /** The first line that tells something. */
  readonly symptom: string;
  readonly output: string;
  /** It fails as a worker of node:cluster without prefork, too. */
  readonly alsoUnderCluster: boolean;
}

export interface Count {
  readonly family: Family;
  readonly tests: number;
  /** Failed without prefork: they say nothing. */
  readonly failedBare: number;
  readonly same: number;
  readonly differs: number;
}

export interface SuiteResult {
  readonly counts: readonly Count[];
  readonly differences: readonly Difference[];
}

export interface SuiteOptions {
  readonly tests: string;
  readonly node: string;
  /** Words of which a test's name must have one; all tests without. */
  readonly words: readonly string[];
  /** At most so many, spread evenly; `null` is all. */
  readonly sample: number | null;
  readonly lanes: number;
  /** Milliseconds for one test. */
  readonly timeout: number;
  readonly onProgress: (done: number, of: number) => void;
  readonly onDifference: (difference: Difference) => void;
}

/** The family of a test by its name, or `null`. */
export function familyOf(name: string): Family | null {
  const word = /^test-(\w+)-.*\.m?js$/.exec(name)?.[1];
  return families.find((family) => family === word) ?? null;
}

/** The names of the tests that these options choose. */
export function chooseTests(options: Pick<SuiteOptions, 'tests' | 'words' | 'sample'>): string[] {
  const { words, sample } = options;
  const named = readdirSync(join(options.tests, 'parallel'))
    .filter((name) => familyOf(name) !== null)
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .sort();
  if (sample === null || sample >= named.length) return named;
  return named.filter(
    (_, at) => Math.floor((at * sample) / named.length) !== Math.floor(((at - 1) * sample) / named.length),
  );
}

interface Verdict {
  readonly name: string;
  readonly family: Family;
  readonly bare: boolean;
  readonly difference: Difference | null;
}

/** Runs the chosen tests, some at a time. What differs is tried once more: a slow machine is no difference. */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const names = chooseTests(options);
  const queue = [...names];
  const bareFailures = new Set<string>();
  const differences: Difference[] = [];
  let done = 0;
  const lane = async (number: number): Promise<void> => {
    // Each lane has ports and folders of its own.
    const where: Where = { ...options, lane: number };
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const passed = (await runTest(where, name, 'prefork')).passed;
      const verdict = passed ? null : await judge(where, name);
      if (verdict?.bare === false) bareFailures.add(name);
      if (verdict?.difference != null) {
        differences.push(verdict.difference);
        options.onDifference(verdict.difference);
      }
      done++;
      options.onProgress(done, names.length);
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, (_, at) => lane(at + 1)));
  differences.sort((a, b) => families.indexOf(a.family) - families.indexOf(b.family) || (a.name < b.name ? -1 : 1));
  return { counts: families.map((family) => count(family, names, bareFailures, differences)), differences };
}

/** @returns `null` where it passes after all */
async function judge(where: Where, name: string): Promise<Verdict | null> {
  const family = familyOf(name);
  if (family === null) return null;
  if (!(await runTest(where, name, 'bare')).passed && !(await runTest(where, name, 'bare')).passed) {
    return { name, family, bare: false, difference: null };
  }
  const last: Outcome = await runTest(where, name, 'prefork');
  if (last.passed) return null;
  const alsoUnderCluster = !(await runTest(where, name, 'cluster')).passed;
  const difference = { name, family, symptom: symptomOf(last.output), output: last.output, alsoUnderCluster };
  return { name, family, bare: true, difference };
}

function count(family: Family, names: readonly string[], bare: ReadonlySet<string>, all: readonly Difference[]): Count {
  const mine = names.filter((name) => familyOf(name) === family);
  const failedBare = mine.filter((name) => bare.has(name)).length;
  const differs = all.filter((difference) => difference.family === family).length;
  return { family, tests: mine.length, failedBare, same: mine.length - failedBare - differs, differs };
}

/** The line of a failing test's output that says most. */
export function symptomOf(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const telling = lines.find((line) =>
    /^(?:\w*Error\b|Mismatched|worker broke|worker gets|\w+ \[ERR_)|Error: /.test(line),
  );
  return (telling ?? lines.at(-1) ?? 'no output').slice(0, 160);
}
