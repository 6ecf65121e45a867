/** What is meant by a name that is none of a setting. */

import { closest } from './closest.ts';
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
  return closest(wanted, Object.keys(table), plain);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}
