/** The picture: state and size of the terminal in, lines out. Pure. No line is longer than the terminal is wide. */
import { bytes, percent, rate, span } from '../../protocol/figures-text.ts';
import { firstDrift, generationText } from '../../protocol/release-text.ts';
import { progressText, verdictText } from '../../protocol/reload-text.ts';
import type { Status, WorkerStatus } from '../../protocol/status.ts';
import type { TimelineEntry } from '../../protocol/timeline-entry.ts';
import { plain } from '../../system/plain.ts';
import { cut, fit, join } from '../text.ts';
import { type Column, columnsFor } from './columns.ts';
import { inFlightLines, mostInFlight } from './in-flight.ts';
import { offsetFor, type State, shown } from './state.ts';
import type { Line, Span, Style } from './style.ts';

/** Cells that the phase may take for its reason if there is room. */
const widestPhase = 28;
const keysLine = '? help  q quit  arrows select and sort  r reload  c recycle  + - scale';

/** @returns at most `rows` lines */
export function frame(state: State, cells: number, rows: number): readonly Line[] {
  const { head, page } = layout(state, rows);
  const lines = header(state.status, cells).slice(0, head);
  if (state.help) lines.push(...helpLines(cells).slice(0, Math.max(0, rows - head - 1)));
  else if (rows > 2) lines.push(...table(state, cells, page));
  // The timeline has what is left, which is half of it at least.
  if (!state.help) lines.push(...inFlightLines(state.inFlight, cells, Math.floor((rows - lines.length - 1) / 2)));
  const free = rows - lines.length - 1;
  if (!state.help && free > 2) lines.push(...timeline(state.entries, cells, free));
  while (lines.length < rows - 1) lines.push([]);
  if (rows > 1) lines.push(bottom(state, cells, page));
  return lines.slice(0, rows);
}

/** For scripts: every worker and the last of the timeline, nothing about keys. */
export function onceFrame(state: State, cells: number): readonly Line[] {
  const all = state.status.workers.length;
  const lines = [
    ...header(state.status, cells),
    ...table({ ...state, selected: null }, cells, all),
    ...inFlightLines(state.inFlight, cells, mostInFlight + 2),
  ];
  return state.entries.length === 0 ? lines : [...lines, ...timeline(state.entries, cells, 7)];
}

/** Workers that are shown at a time in so many rows. */
export function pageOf(state: State, rows: number): number {
  return layout(state, rows).page;
}

function layout({ status }: State, rows: number): { readonly head: number; readonly page: number } {
  const head = rows >= 10 ? 4 : rows >= 7 ? 3 : 1;
  // One line for the titles, one for the message.
  return { head, page: Math.max(1, Math.min(rows - head - 2, Math.max(1, status.workers.length))) };
}

function header(status: Status, cells: number): Line[] {
  const { workers } = status;
  const sum = (value: (worker: WorkerStatus) => number): number =>
    workers.reduce((total, worker) => total + (value(worker) || 0), 0);
  const first = [
    `${cut(plain(status.name), Math.max(8, Math.floor(cells / 3)))}: ${status.state}, ${status.health.replace('_', ' ')}`,
    `${status.ready}/${status.wanted} workers ready${sparesOf(status)}`,
    plain(generationText(status.generation, status.releases)),
    `${rate(sum((worker) => worker.requestsPerSecond))} requests/s`,
  ];
  const second = [
    `prefork ${plain(status.prefork)}`,
    `Node ${plain(status.node)}`,
    `pid ${status.pid}`,
    `up ${span(status.uptime)}`,
    `${sum((worker) => worker.inFlight)} in flight`,
    `cpu ${percent(sum((worker) => worker.cpu))}`,
    `rss ${bytes(sum((worker) => worker.rss))}`,
    ...(status.leader === undefined
      ? []
      : [status.leader === null ? 'nobody leads' : `slot ${status.leader.slot ?? '?'} leads`]),
    ...(status.migration === undefined ? [] : [`${status.migration.moved} connections moved`]),
  ];
  const style: Style = status.health === 'healthy' ? 'good' : status.health === 'not_ready' ? 'bad' : 'warn';
  const [reload, reloadStyle] = lastChange(status);
  return [
    [{ text: join(first, cells), style }],
    [{ text: join(second, cells), style: 'plain' }],
    [{ text: cut(reload, cells), style: reloadStyle }],
    [],
  ];
}

/** Nothing where there are none. */
function sparesOf({ spares = { wanted: 0, ready: 0 } }: Status): string {
  return spares.wanted === 0 && spares.ready === 0 ? '' : ` + ${spares.ready}/${spares.wanted} spare`;
}

/** What is under way, or how the last one ended. */
function lastChange(status: Status): readonly [string, Style] {
  const { reload, releases, upgrade } = status;
  if (upgrade.running !== null)
    return [`upgrade ${upgrade.running.upgrade} under way: ${upgrade.running.step}`, 'warn'];
  const { running, last } = reload;
  if (running?.trial != null) return [`reload ${running.reload}: ${progressText(status)}`, 'warn'];
  if (running !== null)
    return [`reload ${running.reload} under way: ${running.step}, for ${span(running.uptime)}`, 'warn'];
  const drift = firstDrift(releases);
  if (drift !== null && (last === null || last.verdict === 'completed')) return [plain(drift), 'warn'];
  if (last === null) return ['no reload yet', 'dim'];
  const why = last.reason === null ? '' : `: ${plain(last.reason)}`;
  const took = `${last.verdict === 'completed' ? 'in' : 'after'} ${last.duration.toFixed(2)} s`;
  const text = `last reload ${last.reload} ${verdictText[last.verdict]} ${took}${why}`;
  return [text, last.verdict === 'completed' ? 'plain' : 'bad'];
}

function table(state: State, cells: number, page: number): Line[] {
  const columns = columnsFor(cells);
  const used = columns.reduce((total, { width }) => total + width + 1, -1);
  const widthOf = ({ name, width }: Column): number =>
    name === 'phase' ? Math.min(widestPhase, width + Math.max(0, cells - used)) : width;
  const titles: Span[] = columns.flatMap((column, index) => {
    const isSort = column.name === state.sort;
    // As `ps --sort` writes it.
    const text = isSort ? `${state.descending ? '-' : '+'}${column.name}` : column.name;
    const cell: Span = { text: fit(text, widthOf(column), column.side), style: isSort ? 'sorted' : 'title' };
    return index === 0 ? [cell] : [{ text: ' ', style: 'title' } satisfies Span, cell];
  });
  const offset = offsetFor(state, page);
  const rows = shown(state).slice(offset, offset + page);
  const lines = rows.map((worker): Line => {
    const text = columns.map((column) => fit(column.show(worker), widthOf(column), column.side)).join(' ');
    const isSelected = state.selected?.id === worker.id;
    if (isSelected) return [{ text: fit(text, cells, 'left'), style: 'selected' }];
    return [{ text: cut(text, cells), style: phaseStyle(worker) }];
  });
  const none: Line = [{ text: cut('no workers', cells), style: 'dim' }];
  return [clip(titles, cells), ...(lines.length === 0 ? [none] : lines)];
}

function phaseStyle({ phase }: WorkerStatus): Style {
  return phase === 'ready' ? 'plain' : phase === 'killed' ? 'bad' : 'warn';
}

function clip(spans: readonly Span[], cells: number): Line {
  const [only] = spans;
  // One column is always there, even if it is wider than the terminal.
  return spans.length === 1 && only !== undefined ? [{ ...only, text: cut(only.text, cells) }] : spans;
}

/** The newest last, as in the log. @param rows there are, a blank one and the title included */
function timeline(entries: readonly TimelineEntry[], cells: number, rows: number): Line[] {
  const last = entries.slice(-(rows - 2));
  if (last.length === 0) return [];
  const lines = last.map(({ time, level, text }): Line => {
    const style: Style = level === 'error' || level === 'fatal' ? 'bad' : level === 'warn' ? 'warn' : 'plain';
    return [{ text: cut(`${clockOf(time)}  ${plain(text)}`, cells), style }];
  });
  return [[], [{ text: cut('timeline', cells), style: 'title' }], ...lines];
}

function clockOf(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? '??:??:??' : time.toTimeString().slice(0, 8);
}

function bottom(state: State, cells: number, page: number): Line {
  const { length } = state.status.workers;
  const offset = offsetFor(state, page);
  const where = length > page ? `  ${offset + 1}-${Math.min(length, offset + page)} of ${length}` : '';
  const [text, style] = bottomText(state);
  const room = cells - where.length;
  if (room < 8) return [{ text: cut(text, cells), style }];
  return [
    { text: fit(text, room, 'left'), style },
    { text: where, style: 'dim' },
  ];
}

function bottomText({ silence, message, help }: State): readonly [string, Style] {
  if (silence !== null) return [plain(silence), 'bad'];
  if (help) return ['any key goes back', 'dim'];
  if (message !== null) return [message.text, message.bad ? 'bad' : 'bold'];
  return [keysLine, 'dim'];
}

const help: readonly (readonly [keys: string, what: string])[] = [
  ['up, down, k, j', 'select a worker; PgUp, PgDn, Home, End: further'],
  ['left, right, s', 'sort by another column'],
  ['S, R', 'the other way round'],
  ['r', 'reload: every worker is replaced, new before old'],
  ['c', 'recycle: the selected worker is replaced'],
  ['+, -', 'one worker more, one less, until the next reload, or as the load wants it'],
  ['Ctrl-L', 'draw anew'],
  ['?', 'this'],
  ['q, Ctrl-C', 'quit; the service goes on'],
  ['', ''],
  ['p50, p99', 'time to answer, of the last ten seconds'],
  ['delay, loop', 'event-loop delay (p99), and how busy the loop is'],
  ['cpu', 'of one processor'],
];

function helpLines(cells: number): Line[] {
  return help.map(
    ([keys, what]): Line => [{ text: cut(`${keys.padEnd(16)}${what}`.trimEnd(), cells), style: 'plain' }],
  );
}
