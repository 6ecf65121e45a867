/** What is meant by a name that is none of a setting. */

import type { Table } from './settings/setting.ts';
import { foreignNotes, settings } from './settings.ts';

/** @returns the setting that is meant, or why there is no such thing; `null` if nothing is near */
export function suggest(name: string, table: Table = settings): string | { readonly note: string } | null {
  if (name.length > 40) return null;
  const wanted = plain(name);
  for (const [foreign, note] of Object.entries(foreignNotes)) if (plain(foreign) === wanted) return { note };
  const same = Object.keys(table).find((known) => table[known]?.elsewhere.some((other) => plain(other) === wanted));
  return same ?? nearest(wanted, table);
}

/** The setting that is spelled most like `wanted`, if any is close. */
function nearest(wanted: string, table: Table): string | null {
  let best: { name: string; distance: number } | null = null;
  for (const candidate of Object.keys(table)) {
    const distance = editDistance(wanted, plain(candidate));
    if (best === null || distance < best.distance) best = { name: candidate, distance };
  }
  return best !== null && best.distance <= Math.max(1, Math.floor(wanted.length / 4)) ? best.name : null;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
