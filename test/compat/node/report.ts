/** Node's own tests as tables: for the terminal and for docs/compatibility.md. */
import { markdownTable, writeBetween } from '../report.ts';
import { reasonFor } from './reasons.ts';
import type { Count, Difference, SuiteResult } from './suite.ts';

/** A difference for which test/compat/node/reasons.ts has no reason. */
export function unexplained({ differences }: SuiteResult): readonly Difference[] {
  return differences.filter((difference) => reasonFor(difference) === null);
}

/** Most tests fail without prefork too: the copy does not run here, and that nothing differs means nothing. */
export function meansNothing({ counts }: SuiteResult): boolean {
  const sum = (of: (count: Count) => number): number => counts.reduce((total, count) => total + of(count), 0);
  return sum(({ failedBare }) => failedBare) * 2 > sum(({ tests }) => tests);
}

export function countsTable({ counts }: SuiteResult): string {
  const rows = counts
    .filter(({ tests }) => tests > 0)
    .map(({ family, tests, failedBare, same, differs }) => [family, tests, failedBare, same, differs].map(String));
  return markdownTable(['tests of', 'all', 'fail without prefork too', 'the same', 'differ'], rows);
}

export function differencesTable({ differences }: SuiteResult): string {
  const rows = differences.map((difference) => [
    `\`${difference.name.replace(/\.m?js$/, '')}\``,
    reasonFor(difference) ?? `**not explained**: ${difference.symptom}`,
    difference.alsoUnderCluster ? 'yes' : 'no',
  ]);
  return rows.length === 0 ? 'None.' : markdownTable(['test', 'why it differs', 'fails under node:cluster too'], rows);
}

/** Puts the figures of this Node's major into the page. */
export function publish(result: SuiteResult, major: number, described: string): void {
  const head = `Node ${process.version}, the tests of ${described}:`;
  writeBetween(`node ${major}`, `${head}\n\n${countsTable(result)}\n\n${differencesTable(result)}`);
}
