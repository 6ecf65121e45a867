/** Medians and their spread: what a run on a busy machine allows to be said. */
import type { Contender } from './contenders/contender.ts';
import type { Bar } from './report/figures.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const median = Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle));
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/** `12,345 (11,000 to 13,000)` */
export function show({ median, min, max }: Spread, digits = 0): string {
  const format = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: digits });
  return min === max ? format(median) : `${format(median)} (${format(min)} to ${format(max)})`;
}

/**
 * The values of one contender against those of another, round by round: both ran within seconds of each other, so
 * what slowed the whole machine in that round falls out.
 */
export function ratio(values: readonly number[], reference: readonly number[]): Spread {
  return spread(
    values.flatMap((value, round) => {
      const other = reference[round];
      return other === undefined || other === 0 ? [] : [value / other];
    }),
  );
}

export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = `|---|${'---:|'.repeat(heads.length - 1)}`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}

/** The median of each contender, as bars of a plot. */
export function bars<T>(rounds: ReadonlyMap<Contender, readonly T[]>, pick: (result: T) => number): Bar[] {
  return [...rounds].map(([{ name }, results]) => {
    const { median } = spread(results.map(pick).filter(Number.isFinite));
    return { name, value: Number.isFinite(median) ? median : null };
  });
}

/** How unevenly something is shared out: the standard deviation as a part of the mean; 0 is perfectly even. */
export function coefficientOfVariation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (!(mean > 0)) return Number.NaN;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return Math.sqrt(variance) / mean;
}

/** The median of numbers of which some may be missing. */
export function medianOf(values: readonly number[]): number {
  return spread(values.filter(Number.isFinite)).median;
}
