/** Checks the figures of a heartbeat against the table. */
import { isAmount, isFields } from './check-values.ts';
import { type FigureTable, figures, type WorkerFigures } from './figures.ts';

/**
 * Each figure that a worker sends is a finite number of at least 0, or `null` if the table allows it; then it may be
 * missing as well. What the table does not know is left out.
 *
 * @returns `null` if it is malformed
 */
export function checkFigures(raw: unknown): WorkerFigures | null;
export function checkFigures(raw: unknown, table: FigureTable): Readonly<Record<string, number | null>> | null;
export function checkFigures(
  raw: unknown,
  table: FigureTable = figures,
): Readonly<Record<string, number | null>> | null {
  if (!isFields(raw)) return null;
  const checked: Record<string, number | null> = {};
  for (const [name, { from, nullable }] of Object.entries(table)) {
    if (from !== 'worker') continue;
    const value = raw[name] ?? null;
    if (!isAmount(value) && !(value === null && nullable === true)) return null;
    checked[name] = value;
  }
  return checked;
}
