/**
 * What was measured, as data: `bench/figures.json` holds the last run of each scenario, and the page is made from it.
 * A scenario that is run again takes the place of its own figures and leaves those of the others alone.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** One bar of a plot. */
export interface Bar {
  readonly name: string;
  /** `null` where there is no figure: JSON knows no NaN. */
  readonly value: number | null;
}

/** One plot: the same figure of several servers. */
export interface Panel {
  readonly title: string;
  readonly better: 'less' | 'more';
  readonly bars: readonly Bar[];
  /** What the figure should come to. */
  readonly aim?: number;
  /** Digits after the point; 0 unless told. */
  readonly digits?: number;
}

export interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What a scenario gives. */
export interface Outcome {
  readonly table: Table;
  readonly panels: readonly Panel[];
  /** Figures that the aims are held against, by name. */
  readonly values: Readonly<Record<string, number>>;
}

/** A scenario's figures, and under which circumstances they were taken. */
export interface Taken extends Outcome {
  readonly heading: string;
  /** What is done, in a sentence or two. */
  readonly how: string;
  /** Date, Node, rounds and load of the machine. */
  readonly circumstances: string;
  /** Versions of those who took part, and who is missing for which reason. */
  readonly versions: readonly string[];
}

/** By the scenario's name. */
export type Figures = Readonly<Record<string, Taken>>;

/** @returns an empty set where there is no such file yet */
export function readFigures(path: string): Figures {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Figures) : {};
}

/** Writes the figures of some scenarios into the file, beside those of the others. @returns all of them */
export function mergeFigures(path: string, fresh: Figures): Figures {
  const all = { ...readFigures(path), ...fresh };
  writeFileSync(path, `${JSON.stringify(all, null, 2)}\n`);
  return all;
}
