/** Figures as people read them, in the commands, in `prefork top` and on the page. */
import { type FigureTable, figures, type Row, type Unit } from './figures.ts';
import { valueIn } from './figures-row.ts';

/** Stands for what is not known. */
export const unknown = '-';

/** Between a number and its unit: nothing in a narrow table, a space if there is room. */
export type Gap = '' | ' ';

/** A figure of a worker, with its unit; the phase with its reason. */
export function figureText(row: Row, name: string, gap: Gap = '', table: FigureTable = figures): string {
  const value = valueIn(row, name, table);
  const unit = table[name]?.unit;
  if (value === null) return unknown;
  if (unit === 'phase') return row.reason === null ? String(value) : `${value} (${row.reason})`;
  return typeof value === 'string' || unit === undefined ? String(value) : valueText(value, unit, gap);
}

/** A number, with its unit. */
function valueText(value: number, unit: Unit, gap: Gap = ''): string {
  switch (unit) {
    case 'perSecond':
      return rate(value);
    case 'seconds':
      return span(value);
    case 'milliseconds':
      return milliseconds(value, gap);
    case 'bytes':
      return bytes(value, gap);
    case 'share':
    case 'cores':
      return percent(value);
    case 'identifier':
    case 'count':
    case 'phase':
    case 'reason':
      return String(value);
  }
}

/** Seconds in two units: `5s`, `1m05s`, `1h01m`, `1d01h`. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${twoDigits(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h${twoDigits((seconds % 3_600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${twoDigits((seconds % 86_400) / 3_600)}h`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}

/** Per second. */
export function rate(value: number): string {
  return value < 1_000 ? value.toFixed(1) : String(Math.round(value));
}

/** Milliseconds, or seconds if there are many: three digits at most below 1,000 seconds. */
export function milliseconds(value: number, gap: Gap = ''): string {
  if (value >= 99_950) return `${Math.round(value / 1_000)}${gap}s`;
  if (value >= 999.5) return `${(value / 1_000).toFixed(1)}${gap}s`;
  return `${value.toFixed(value < 9.95 ? 1 : 0)}${gap}ms`;
}

/** @param share 0 to 1, or more than that for cores */
export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** Bytes, in units of 1,024; 0 is not known. */
export function bytes(value: number, gap: Gap = ''): string {
  const mebibytes = value / 2 ** 20;
  if (value === 0) return unknown;
  if (mebibytes >= 1_000) return `${(mebibytes / 1_024).toFixed(1)}${gap}GB`;
  return `${mebibytes.toFixed(mebibytes < 9.95 ? 1 : 0)}${gap}MB`;
}
