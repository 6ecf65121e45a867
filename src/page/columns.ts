/** The columns of the workers' table, and the orders and choices of its rows. Nothing here touches the document. */
import { type FigureTable, figures, type Row } from '../protocol/figures.ts';
import { compareRows, valueIn } from '../protocol/figures-row.ts';
import { figureText, unknown } from '../protocol/figures-text.ts';
import type { SlotView } from './history.ts';

export interface Column {
  readonly name: string;
  readonly title: string;
  /** Said in full if there is room, and to screen readers. */
  readonly about: string;
  readonly text: (worker: Row) => string;
  /** The unit of its sparkline, which has a colour; `null` if it has none. */
  readonly spark: string | null;
  /** It is left out first on narrow screens. */
  readonly minor: boolean;
}

type Compare = (a: SlotView, b: SlotView) => number;

/** What is looked for first stands first. */
const leading = ['slot', 'phase', 'generation', 'pid'];

export function pageColumns(table: FigureTable = figures): readonly Column[] {
  const rank = (name: string): number => [...leading, name].indexOf(name);
  return Object.entries(table)
    .flatMap(([name, { page, doc, unit }]): Column[] => {
      if (page === undefined) return [];
      const { title, about = doc, shows = [name], spark, minor = false } = page;
      const text = (worker: Row): string =>
        shows.every((each) => valueIn(worker, each, table) === null)
          ? unknown
          : shows.map((each) => figureText(worker, each, ' ', table)).join(' / ');
      return [{ name, title, about, text, spark: spark === undefined ? null : unit, minor }];
    })
    .sort((a, b) => rank(a.name) - rank(b.name));
}

export const columns = pageColumns();

/**
 * The orders, by the name of their column; the first one is the one to begin with. Figures begin with the highest, as
 * that is what is looked for; unknown values sort last.
 */
export function pageOrders(
  table: FigureTable = figures,
): Readonly<Record<string, readonly [title: string, compare: Compare]>> {
  return Object.fromEntries(
    pageColumns(table).map(({ name }) => {
      const { page, order } = table[name] ?? {};
      const compare: Compare = (a, b) =>
        compareRows(a.holder, b.holder, name, order !== 'ascending', table) || a.slot - b.slot;
      return [name, [page?.sort ?? name, compare] as const];
    }),
  );
}

export const orders = pageOrders();

type Keep = (view: SlotView, generation: number) => boolean;

export const filters: Readonly<Record<string, readonly [title: string, keep: Keep]>> = {
  all: ['all', () => true],
  unready: ['not ready', ({ holder, others }) => holder.phase !== 'ready' || others.length > 0],
  stale: ['older generations', ({ holder }, generation) => holder.generation < generation],
  busy: ['with requests', ({ holder }) => holder.inFlight > 0],
  restarted: ['restarted', ({ holder }) => holder.restarts > 0],
};
