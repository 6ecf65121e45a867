/** Rows of figures: made of a heartbeat, read by name, compared. */
import { type Figure, type FigureTable, figures, type Row, type WorkerFacts, type WorkerStatus } from './figures.ts';

/** Figures by name, as a heartbeat carries them; the core reads two of them. */
type Sent = Readonly<Record<string, number | null>>;

/**
 * The row of a worker in the status.
 *
 * @param facts what the master knows
 * @param sent the worker's last heartbeat; without one, what may be `null` is `null`, and the rest is 0
 */
export function statusRow(facts: WorkerFacts, sent: Sent | null): WorkerStatus;
export function statusRow(facts: Row, sent: Sent | null, table: FigureTable): Row;
export function statusRow(facts: Row, sent: Sent | null, table: FigureTable = figures): Row {
  const shown = Object.entries(table).filter(([, { inStatus }]) => inStatus !== false);
  return Object.fromEntries(
    shown.map(([name, figure]) => [
      name,
      figure.from === 'master' ? (facts[name] ?? null) : roundedFor(figure, sent?.[name] ?? null),
    ]),
  );
}

function roundedFor({ nullable, digits }: Figure, sent: number | null): number | null {
  if (sent === null) return nullable === true ? null : 0;
  return digits === undefined ? sent : Math.round(sent * 10 ** digits) / 10 ** digits;
}

/** A value of a row; `null` as well if a master of another version does not say it, or if it is not known yet. */
export function valueIn(row: Row, name: string, table: FigureTable = figures): string | number | null {
  const value = row[name] ?? null;
  return value === 0 && table[name]?.unit === 'bytes' ? null : value;
}

/** Unknown values sort last in either direction; equal ones are left as they are. */
export function compareRows(a: Row, b: Row, name: string, descending: boolean, table: FigureTable = figures): number {
  const [one, other] = [valueIn(a, name, table), valueIn(b, name, table)];
  if (one === other) return 0;
  if (one === null) return 1;
  if (other === null) return -1;
  return one < other === descending ? 1 : -1;
}
