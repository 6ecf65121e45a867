/**
 * The table of settings, and what is read off it: flags, environment, types, checks, help and reference follow from it.
 *
 * A new setting is an entry in the file of its group, in `settings/`. One that a worker reads is marked `for: ['worker']`
 * and arrives there as `boot.settings`. One that depends on other settings has a `computed` default, and `resolve.ts`
 * finds its value. `UPDATE_DOCS=1 npm run test:unit` renders docs/settings.md anew; the sample in config/ shows every setting.
 */
import { hooks, settingsOfHooks } from './hooks.ts';
import { controlAndHealth } from './settings/control-and-health.ts';
import type { Kind } from './settings/kinds.ts';
import { limits } from './settings/limits.ts';
import { log } from './settings/log.ts';
import { metrics } from './settings/metrics.ts';
import { processes } from './settings/processes.ts';
import { recycling } from './settings/recycling.ts';
import { reloadAndStop } from './settings/reload-and-stop.ts';
import { service } from './settings/service.ts';
import { Computed, type Setting, type Table, type Use } from './settings/setting.ts';
import { stuckWorkers } from './settings/stuck-workers.ts';
import { workers } from './settings/workers.ts';

const hookSettings = settingsOfHooks(hooks);

/** A type of its own parts: editors and `.d.ts` files show the comments on the keys, which a spread loses. */
export type SettingsTable = typeof service &
  typeof workers &
  typeof reloadAndStop &
  typeof recycling &
  typeof stuckWorkers &
  typeof limits &
  typeof controlAndHealth &
  typeof metrics &
  typeof log &
  typeof processes &
  typeof hookSettings;

/** Every setting, in the order of the documentation. */
export const settings: SettingsTable = {
  ...service,
  ...workers,
  ...reloadAndStop,
  ...recycling,
  ...stuckWorkers,
  ...limits,
  ...controlAndHealth,
  ...metrics,
  ...log,
  ...processes,
  ...hookSettings,
};

export type SettingName = keyof SettingsTable;

/** What a config file may say. */
export type Written<T extends Table> = {
  -readonly [Name in keyof T]?: T[Name]['kind'] extends Kind<infer W> ? W : never;
};

/** A value as its kind reads it. */
export type Value<Name extends SettingName> = SettingsTable[Name] extends Setting<unknown, infer V> ? V : never;

/** The settings whose values are what a source says, or the default: all but those that depend on others. */
export type Plain<T extends Table> = {
  readonly [Name in keyof T as T[Name]['default'] extends Computed ? never : Name]: T[Name] extends Setting<
    unknown,
    infer V,
    infer Default
  >
    ? V | (Default extends null ? null : never)
    : never;
};

/** Of `Resolved`, the settings that go to a place by themselves. */
export type For<Place extends Use, Resolved> = {
  readonly [Name in keyof SettingsTable as Place extends SettingsTable[Name]['for'][number]
    ? Name & keyof Resolved
    : never]: Resolved[Name & keyof Resolved];
};

/** @returns the settings of the table that are marked for this place */
export function settingsFor<Place extends Use, Resolved extends object>(
  place: Place,
  resolved: Resolved,
  table: Table = settings,
): For<Place, Resolved> {
  const marked = Object.keys(table).filter((name) => table[name]?.for.includes(place));
  // The type reads the same marks.
  return Object.fromEntries(marked.map((name) => [name, Reflect.get(resolved, name)])) as For<Place, Resolved>;
}

/** @returns the values that were given and, for the rest, the defaults */
export function plainSettings(
  values: ReadonlyMap<string, { readonly value: unknown }>,
  table: Table = settings,
): Plain<SettingsTable> {
  const plain = Object.entries(table).filter(([, setting]) => !(setting.default instanceof Computed));
  return Object.fromEntries(
    plain.map(([name, setting]) => [name, values.has(name) ? values.get(name)?.value : setting.default]),
  ) as Plain<SettingsTable>;
}

/** The long flag of a setting, without its dashes. */
export function flagOf(name: string, setting: Setting): string {
  return setting.flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Whether the setting has a flag: a hook is a function, the app and its arguments have their places. */
export function hasFlag({ kind, positional }: Setting): boolean {
  return kind.flag !== 'none' && positional === undefined;
}

/** The default as the help and the reference page show it. */
export function defaultText({ kind, default: value, defaultAs, zero }: Setting): string {
  if (value instanceof Computed) return value.words;
  const text = defaultAs ?? (value === null ? 'none' : kind.format(value));
  return value === 0 && zero !== undefined ? `${text} (${zero})` : text;
}

/** The line of the help and of the reference page. */
export function docText({ doc, zero }: Setting): string {
  return zero === undefined ? doc : `${doc}; 0 is ${zero}`;
}

/** Settings of Gunicorn, Puma and PM2 that prefork has nothing like: why. */
export const foreignNotes: Readonly<Record<string, string>> = {
  worker_class: 'there is one kind of worker: a Node process',
  threads: 'a Node worker has one event loop; use workers',
  preload_app: 'Node cannot fork a loaded app; every worker loads it',
  worker_connections: "Node has no such limit by default; set the server's maxConnections in the app",
  on_starting: 'nothing runs in the master; release is a command that runs before new workers, and on gets events',
  pre_fork: 'nothing runs in the master; on gets events, and the top of the app runs in each worker',
  post_fork: 'the top of the app runs in each worker, and worker of prefork says which one it is',
  post_worker_init: 'use onStart in the app (import { onStart } from prefork)',
  worker_int: 'use onDrain or onShutdown in the app (import { onDrain } from prefork)',
  pre_exec: 'nothing runs in the master; see docs/upgrade.md',
  pre_request: 'use middleware of the app',
  post_request: 'use middleware of the app',
  wait_ready: 'not needed: a worker is ready when it listens',
};
