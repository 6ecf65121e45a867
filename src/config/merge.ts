/** Lays the sources over each other and checks every value; all problems are found in one go. */
import type { Problem } from '../errors.ts';
import type { ParseContext } from './settings/kinds.ts';
import type { Table } from './settings/setting.ts';
import { settings } from './settings.ts';
import { show, showName } from './show.ts';
import { suggest } from './suggest.ts';

/** One place that settings come from. Later layers win. */
export interface Layer {
  /** For messages: a path, `command line`, `environment variable PORT`. */
  readonly source: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Values are strings, so that a number is written as one. */
  readonly isText: boolean;
}

/** A checked value and where it came from. */
export interface Value {
  readonly value: unknown;
  readonly source: string;
}

export interface Merged {
  readonly values: ReadonlyMap<string, Value>;
  readonly problems: readonly Problem[];
  /** Values that may not be what was meant, but are taken. */
  readonly doubts: readonly Problem[];
}

export function merge(layers: readonly Layer[], cwd: string, table: Table = settings): Merged {
  const values = new Map<string, Value>();
  const problems: Problem[] = [];
  const doubts: Problem[] = [];
  for (const { source, isText, values: given } of layers) {
    const context: ParseContext = { isText, cwd };
    for (const [name, raw] of Object.entries(given)) {
      // A name that every object has is not a setting.
      const kind = Object.hasOwn(table, name) ? table[name]?.kind : undefined;
      if (kind === undefined) {
        problems.push({ setting: showName(name), source, message: unknownMessage(name, table) });
        continue;
      }
      // Unset on purpose: as if it were not there, so the default holds.
      if (raw === undefined || raw === null) continue;
      const parsed = kind.parse(raw, context);
      if (!parsed.ok) {
        const { expected, part } = parsed;
        const setting = part === undefined || part.name === '' ? name : `${name}.${part.name}`;
        const got = part === undefined ? raw : part.value;
        problems.push({ setting, source, message: `expected ${expected}, got ${kind.shown?.(got) ?? show(got)}` });
        continue;
      }
      if (parsed.doubt !== undefined) doubts.push({ setting: name, source, message: parsed.doubt });
      const earlier = values.get(name);
      const value =
        earlier === undefined || kind.join === undefined ? parsed.value : kind.join(earlier.value, parsed.value);
      values.set(name, { source, value });
    }
  }
  return { values, problems, doubts };
}

function unknownMessage(name: string, table: Table): string {
  const meant = suggest(name, table);
  if (meant === null) return 'unknown setting (prefork --help lists them all)';
  return typeof meant === 'string' ? `unknown setting; did you mean ${meant}?` : `unknown setting: ${meant.note}`;
}
