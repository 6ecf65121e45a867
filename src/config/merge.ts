/** Lays the sources over each other and checks every value; all problems are found in one go. */
import type { Problem } from '../errors.ts';
import { type ParseContext, parseValue } from './parse.ts';
import { foreignNames, isSettingName, type SettingName, settingNames, settingOf } from './settings.ts';
import { show, showName } from './show.ts';

/** One place that settings come from. Later layers win. */
export interface Layer {
  /** For messages: a path, `command line`, `environment variable PORT`. */
  readonly source: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Values are text, so that numbers are written in it. */
  readonly isText: boolean;
}

/** A checked value and where it came from. */
export interface Value {
  readonly value: unknown;
  readonly source: string;
}

export interface Merged {
  readonly values: ReadonlyMap<SettingName, Value>;
  readonly problems: readonly Problem[];
}

export function merge(layers: readonly Layer[], cwd: string): Merged {
  const values = new Map<SettingName, Value>();
  const problems: Problem[] = [];
  for (const layer of layers) {
    const context: ParseContext = { isText: layer.isText, cwd };
    for (const name of Object.keys(layer.values)) {
      const raw = layer.values[name];
      if (!isSettingName(name)) {
        problems.push({ setting: showName(name), source: layer.source, message: unknownMessage(name) });
        continue;
      }
      // Unset on purpose: as if it were not there, so the default holds.
      if (raw === undefined || raw === null) continue;
      const parsed = parseValue(settingOf(name).kind, raw, context);
      if (!parsed.ok)
        problems.push({
          setting: name,
          source: layer.source,
          message: `expected ${parsed.expected}, got ${show(raw)}`,
        });
      else if (name === 'env')
        values.set(name, { source: layer.source, value: { ...recordOf(values.get(name)), ...recordOf(parsed) } });
      else values.set(name, { value: parsed.value, source: layer.source });
    }
  }
  return { values, problems };
}

/** Environments of several layers add up, name by name. */
function recordOf(value: { readonly value: unknown } | undefined): Record<string, string> {
  return (value?.value ?? {}) as Record<string, string>;
}

function unknownMessage(name: string): string {
  const meant = suggest(name);
  if (meant === null) return 'unknown setting (prefork --help lists them all)';
  return typeof meant === 'string' ? `unknown setting; did you mean ${meant}?` : `unknown setting: ${meant.note}`;
}

const foreign = new Map([...foreignNames].map(([name, meant]) => [plain(name), meant]));

/** What somebody meant by a name that is none of ours: the setting, or why there is no such thing. */
export function suggest(name: string): SettingName | { readonly note: string } | null {
  return name.length > 40 ? null : (foreign.get(plain(name)) ?? nearest(name));
}

/** The setting that is spelled most like `name`, if any is close. */
function nearest(name: string): SettingName | null {
  const wanted = plain(name);
  let best: { name: SettingName; distance: number } | null = null;
  for (const candidate of settingNames) {
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
