/** The columns of the table: what they show, what they sort by, and which go first where there is no room. */
import type { WorkerStatus } from '../../protocol/status.ts';
import { span } from '../control/render.ts';

/** What a master of another version may leave out is not known here. */
type Figure = number | null | undefined;

export interface Column {
  readonly name: string;
  /** Cells, the mark of the sort column included. */
  readonly width: number;
  readonly side: 'left' | 'right';
  /** The least important column, with the highest number, goes first. */
  readonly rank: number;
  /** How it is sorted when it is chosen. */
  readonly first: 'ascending' | 'descending';
  readonly show: (worker: WorkerStatus) => string;
  readonly key: (worker: WorkerStatus) => Figure | string;
}

function figure(
  name: string,
  width: number,
  rank: number,
  key: (worker: WorkerStatus) => Figure,
  show: (value: number) => string = String,
): Column {
  const text = (worker: WorkerStatus): string => {
    const value = key(worker);
    return value === null || value === undefined ? '-' : show(value);
  };
  const first = rank < 2 || name === 'gen' ? 'ascending' : 'descending';
  return { name, width, side: 'right', rank, first, show: text, key };
}

/** In their order from left to right. */
export const columns: readonly Column[] = [
  figure('slot', 5, 0, ({ slot }) => slot),
  figure('pid', 8, 1, ({ pid }) => pid),
  figure('gen', 4, 6, ({ generation }) => generation),
  {
    name: 'phase',
    width: 9,
    side: 'left',
    rank: 2,
    first: 'ascending',
    show: ({ phase, reason }) => (reason === null ? phase : `${phase} (${reason})`),
    key: ({ phase }) => phase,
  },
  figure('age', 7, 5, ({ uptime }) => uptime, span),
  figure('req/s', 7, 3, ({ requestsPerSecond }) => requestsPerSecond, rate),
  figure('in flight', 10, 4, ({ inFlight }) => inFlight),
  figure('p50', 7, 13, ({ latencyP50 }) => latencyP50, milliseconds),
  figure('p99', 7, 7, ({ latencyP99 }) => latencyP99, milliseconds),
  figure('delay', 7, 9, ({ loopDelayP99 }) => loopDelayP99, milliseconds),
  figure('loop', 5, 10, ({ loopUtilisation }) => loopUtilisation, percent),
  figure('cpu', 5, 8, ({ cpu }) => cpu, percent),
  figure('rss', 7, 11, ({ rss }) => rss, bytes),
  figure('heap', 7, 14, ({ heapUsed }) => heapUsed, bytes),
  figure('restarts', 9, 12, ({ restarts }) => restarts),
];

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

/** Whom there is nothing known of comes last, either way; equal ones by slot. */
export function sorted(workers: readonly WorkerStatus[], by: string, descending: boolean): readonly WorkerStatus[] {
  const key = columns.find(({ name }) => name === by)?.key ?? (() => 0);
  return workers.toSorted((a, b) => compare(key(a), key(b), descending) || a.slot - b.slot || a.id - b.id);
}

function compare(a: Figure | string, b: Figure | string, descending: boolean): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return a < b === descending ? 1 : -1;
}

export function rate(value: number): string {
  return value < 1_000 ? value.toFixed(1) : String(Math.round(value));
}

export function milliseconds(value: number): string {
  if (value >= 99_950) return `${Math.round(value / 1_000)}s`;
  if (value >= 999.5) return `${(value / 1_000).toFixed(1)}s`;
  return `${value.toFixed(value < 9.95 ? 1 : 0)}ms`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

export function bytes(value: number): string {
  const mebibytes = value / 2 ** 20;
  if (value === 0) return '-';
  if (mebibytes >= 1_000) return `${(mebibytes / 1_024).toFixed(1)}GB`;
  return `${mebibytes.toFixed(mebibytes < 9.95 ? 1 : 0)}MB`;
}
