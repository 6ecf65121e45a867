/**
 * What a command is. Each is one file in `commands/` and stands in the list of `commands/index.ts`; which words are
 * commands, the overview of `prefork --help`, the help of each command and tab completion all follow from that list.
 *
 * The files of commands are read at each start, of a master as well: what is heavy is imported when a command runs.
 */
import type { LoadRequest } from '../config/resolved.ts';
import type { Caller } from '../master/service/daemon.ts';
import type { Predecessor } from '../master/upgrade/predecessor.ts';
import type { Service } from './client.ts';

/** Words after the command, in their order. */
export type Positionals = Readonly<Record<string, 'required' | 'optional'>>;

/** Options without a value. */
export type Switches = Readonly<Record<string, { readonly doc: string; readonly short?: string }>>;

/** Options with a value. */
export type Values = Readonly<Record<string, { readonly doc: string; readonly short?: string }>>;

/** What was given: a string for each positional and each value, `null` if it is missing; whether each switch is there. */
export type Given<P extends Positionals, S extends Switches, V extends Values = Record<never, never>> = {
  readonly [K in keyof P]: P[K] extends 'required' ? string : string | null;
} & { readonly [K in keyof S]: boolean } & { readonly [K in keyof V]: string | null };

/** What a command is run with. */
export interface Surroundings {
  readonly cwd: string;
  /**
   * The path of the control socket of the service that was named by options, or is found without them.
   *
   * @throws ControlError if there is none, or more than one
   */
  readonly find: () => Promise<string>;
  /** The same service, to be asked. @throws ControlError as `find` does */
  readonly service: () => Promise<Service>;
}

interface Definition<P extends Positionals, S extends Switches, V extends Values> {
  /** The word that calls it. */
  readonly name: string;
  /** One line, without a full stop. */
  readonly help: string;
  readonly positionals?: P;
  readonly switches?: S;
  readonly values?: V;
  /** @throws PreforkError */
  run(given: Given<P, S, V>, surroundings: Surroundings): Promise<void>;
}

/** A command for a running service, or for none. */
export interface Command extends Required<Definition<Positionals, Switches, Values>> {
  readonly takes: 'its own options';
}

/** What a start is made of, or the check of one. */
export interface Launch {
  readonly request: LoadRequest;
  /** The process that waits for a daemon to be ready. */
  readonly caller: Caller;
  /** The master that started this one to replace itself. */
  readonly predecessor: Predecessor | null;
}

/** A command that takes the app and all settings, as the start of a service does. */
export interface LaunchCommand {
  readonly takes: 'settings';
  readonly name: string;
  /** As the overview shows it, after `prefork`. */
  readonly usage: string;
  readonly help: string;
  /** @throws PreforkError */
  run(launch: Launch): Promise<void>;
}

export type AnyCommand = Command | LaunchCommand;

/** Infers what `run` is given from the positionals and the switches. */
export function command<
  const P extends Positionals = Record<never, never>,
  const S extends Switches = Record<never, never>,
  const V extends Values = Record<never, never>,
>(definition: Definition<P, S, V>): Command {
  return { takes: 'its own options', positionals: {}, switches: {}, values: {}, ...definition };
}

/** A command as it is written, without its options: `scale <amount>`. */
export function usageOf(given: AnyCommand): string {
  if (given.takes === 'settings') return given.usage;
  const words = Object.entries(given.positionals).map(([name, need]) =>
    need === 'required' ? `<${name}>` : `[${name}]`,
  );
  return [given.name, ...words].join(' ');
}
