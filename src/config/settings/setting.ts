/** What a setting is made of. */
import type { Kind } from './kinds.ts';

export type Group =
  | 'Service'
  | 'Workers'
  | 'Reload and stop'
  | 'Recycling'
  | 'Stuck workers'
  | 'Slow and too much'
  | 'Control and health'
  | 'Metrics'
  | 'Log'
  | 'Process';

/** Where a setting goes by itself: to each worker with its birth, or to the core as a part of its policy. */
export type Use = 'worker' | 'core';

/** The default of a setting that depends on others or on the machine: `resolve.ts` finds it, and these are its words. */
export class Computed {
  readonly words: string;

  constructor(words: string) {
    this.words = words;
  }
}

export function computed(words: string): Computed {
  return new Computed(words);
}

/** One setting: all that is known of it, but its name, which is its key in the table. */
export interface Setting<Written = unknown, Value = unknown, Default = unknown, For extends Use = Use> {
  readonly kind: Kind<Written, Value>;
  /** In prefork's own unit; `null` is none. */
  readonly default: Default;
  /** Words that are shown in place of the default. */
  readonly defaultAs?: string;
  /** What 0 means. */
  readonly zero?: 'off' | 'never';
  /** One line, without a full stop. */
  readonly doc: string;
  readonly group: Group;
  /** A one-letter flag. */
  readonly short?: string;
  /** The long flag, if it is not the name in kebab-case. */
  readonly flag?: string;
  /** How the command line gives it without a flag, in Markdown. */
  readonly positional?: string;
  /** An environment variable that sets it. */
  readonly env?: string;
  /** When a change takes effect: at the next reload, or at the next start of prefork. */
  readonly at: 'reload' | 'start';
  readonly for: readonly For[];
  /** Names that Gunicorn, Puma or PM2 have for it, for "did you mean". */
  readonly elsewhere: readonly string[];
}

/** All settings, by name. */
export type Table = Readonly<Record<string, Setting>>;

type Optional = 'at' | 'for' | 'elsewhere';

/** A setting as the table writes it: what is usual is left out. */
type Given<Written, Value, Default, For extends Use> = Omit<Setting<Written, Value, Default, For>, Optional | 'group'> &
  Partial<Pick<Setting<Written, Value, Default, For>, Optional>>;

/** @returns the function that makes a setting of this group */
export function inGroup(group: Group) {
  return function setting<
    Written,
    Value,
    const Default extends NoInfer<Value> | null | Computed,
    const For extends Use = never,
  >(given: Given<Written, Value, Default, For>): Setting<Written, Value, Default, For> {
    return { at: 'reload', for: [], elsewhere: [], ...given, group };
  };
}
