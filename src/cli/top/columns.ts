/** The columns of the table: what they show, what they sort by, and which go first if there is no room. */
import { type FigureTable, figures, type Row } from '../../protocol/figures.ts';
import { compareRows } from '../../protocol/figures-row.ts';
import { figureText } from '../../protocol/figures-text.ts';

export interface Column {
  readonly name: string;
  /** Cells, the mark of the sort column included. */
  readonly width: number;
  readonly side: 'left' | 'right';
  /** The least important column, with the highest number, goes first. */
  readonly rank: number;
  /** How it is sorted when it is chosen. */
  readonly first: 'ascending' | 'descending';
  readonly show: (worker: Row) => string;
  readonly compare: (a: Row, b: Row, descending: boolean) => number;
}

/** In their order from left to right. */
export function topColumns(table: FigureTable = figures): readonly Column[] {
  return Object.entries(table).flatMap(([name, { top, unit, order }]): Column[] =>
    top === undefined
      ? []
      : [
          {
            name: top.title,
            width: top.width,
            side: unit === 'phase' ? 'left' : 'right',
            rank: top.rank,
            first: order ?? 'descending',
            show: (worker) => figureText(worker, name, '', table),
            compare: (a, b, descending) => compareRows(a, b, name, descending, table),
          },
        ],
  );
}

export const columns = topColumns();

/** Those that fit, in their order. The first one is always there. */
export function columnsFor(cells: number): readonly Column[] {
  const kept = new Set<Column>();
  let used = -1;
  for (const column of columns.toSorted((a, b) => a.rank - b.rank)) {
    used += column.width + 1;
    if (used > cells && kept.size > 0) break;
    kept.add(column);
  }
  return columns.filter((column) => kept.has(column));
}

/** Unknown values sort last in either direction; equal ones sort by slot, and those without one come last. */
export function sorted<T extends Row & { readonly slot: number | null; readonly id: number }>(
  workers: readonly T[],
  by: string,
  descending: boolean,
): readonly T[] {
  const column = columns.find(({ name }) => name === by);
  const place = ({ slot }: T): number => slot ?? Number.MAX_SAFE_INTEGER;
  return workers.toSorted((a, b) => column?.compare(a, b, descending) || place(a) - place(b) || a.id - b.id);
}
