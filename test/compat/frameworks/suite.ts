/** Goes through the frameworks one after the other: the machine is busy enough with one. */
import { check, type Finding } from './check.ts';
import { InstallError, install } from './install.ts';
import { type Framework, frameworks } from './table.ts';

export type Row = { readonly framework: Framework } & (
  | { readonly kind: 'checked'; readonly finding: Finding }
  /** It cannot be had here; the reason is not prefork's. */
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'broken'; readonly error: string }
);

/** Those whose title or folder has one of the words; all of them without words. */
export function chooseFrameworks(words: readonly string[], sample: boolean): Framework[] {
  const wanted = words.map((word) => word.toLowerCase());
  return frameworks
    .filter((framework) => !sample || framework.sample === true)
    .filter(({ title, folder }) =>
      wanted.length === 0 ? true : wanted.some((word) => `${title} ${folder}`.toLowerCase().includes(word)),
    );
}

export async function runFramework(framework: Framework): Promise<Row> {
  try {
    const folder = install(framework);
    return { framework, kind: 'checked', finding: await check(framework, folder) };
  } catch (error) {
    if (error instanceof InstallError) return { framework, kind: 'skipped', reason: error.message };
    return { framework, kind: 'broken', error: error instanceof Error ? error.message : String(error) };
  }
}

/** A row that shows a fault of prefork. */
export function isBad(row: Row): boolean {
  return row.kind === 'broken' || (row.kind === 'checked' && (row.finding.faults.length > 0 || row.finding.lost > 0));
}
