/** What `prefork top` knows, and what a key or an answer makes of it. Pure. */
import { verdictText } from '../../protocol/reload-text.ts';
import type { ShownRequests } from '../../protocol/requests.ts';
import type { LastReload, Status, WorkerStatus } from '../../protocol/status.ts';
import type { TimelineEntry } from '../../protocol/timeline-entry.ts';
import { plain } from '../../system/plain.ts';
import { columns, columnsFor, sorted } from './columns.ts';

export interface State {
  readonly status: Status;
  /** Oldest first. */
  readonly entries: readonly TimelineEntry[];
  /** `null` if the service does not say it. */
  readonly inFlight: ShownRequests | null;
  /** Name of a column. */
  readonly sort: string;
  readonly descending: boolean;
  /** Stays with its worker, and with the slot when that one is gone. */
  readonly selected: Pick<WorkerStatus, 'id' | 'slot'> | null;
  /** Workers above the first one that is shown. */
  readonly offset: number;
  readonly help: boolean;
  readonly message: Message | null;
  /** Why there is nothing new; `null` while the service answers. */
  readonly silence: string | null;
}

export interface Message {
  readonly text: string;
  readonly bad: boolean;
}

/** What is to be done about a key. */
export type Effect =
  | { readonly type: 'none' | 'quit' | 'suspend' | 'redraw' | 'reload' }
  | { readonly type: 'recycle'; readonly slot: number }
  | { readonly type: 'scale'; readonly by: 1 | -1 };

/** The room there is. */
export interface Room {
  readonly columns: number;
  /** Workers that are shown at a time. */
  readonly page: number;
}

export function initialState(
  status: Status,
  entries: readonly TimelineEntry[],
  inFlight: ShownRequests | null = null,
): State {
  const [first = null] = sorted(status.workers, 'slot', false);
  return {
    status,
    entries,
    inFlight,
    sort: 'slot',
    descending: false,
    selected: first,
    offset: 0,
    help: false,
    message: null,
    silence: null,
  };
}

/** The workers in the order in which they are shown. */
export function shown({ status, sort, descending }: State): readonly WorkerStatus[] {
  return sorted(status.workers, sort, descending);
}

/** Where the selected worker is among them; 0 if there is none. */
function selectedIndex(state: State): number {
  const { selected } = state;
  return Math.max(
    0,
    shown(state).findIndex(({ id }) => id === selected?.id),
  );
}

/** The first worker that is shown if there is room for `page` of them: the selected one always is shown. */
export function offsetFor(state: State, page: number): number {
  const index = selectedIndex(state);
  const last = Math.max(0, state.status.workers.length - page);
  return Math.min(last, Math.max(index - page + 1, Math.min(index, state.offset)));
}

export function answered(
  state: State,
  status: Status,
  entries: readonly TimelineEntry[],
  inFlight: ShownRequests | null = null,
): State {
  const next = {
    ...state,
    status,
    entries,
    inFlight,
    silence: null,
    message: news(state.status, status) ?? state.message,
  };
  const { selected } = state;
  const same = status.workers.find(({ id }) => id === selected?.id);
  const heir = shown(next).findLast(({ slot }) => slot === selected?.slot);
  const there = shown(next)[Math.min(selectedIndex(state), status.workers.length - 1)];
  return { ...next, selected: same ?? heir ?? there ?? null };
}

export function pressed(state: State, key: string, room: Room): readonly [State, Effect] {
  const none: Effect = { type: 'none' };
  const quits = key === 'q' || key === 'ctrl-c' || key === 'ctrl-d' || key === 'ctrl-backslash';
  if (quits) return [state, { type: 'quit' }];
  if (key === 'ctrl-z') return [state, { type: 'suspend' }];
  if (key === 'ctrl-l') return [state, { type: 'redraw' }];
  if (state.help) return [{ ...state, help: false }, none];
  const move = (by: number): readonly [State, Effect] => [moved(state, by, room.page), none];
  switch (key) {
    case '?':
    case 'h':
      return [{ ...state, help: true }, none];
    case 'up':
    case 'k':
      return move(-1);
    case 'down':
    case 'j':
      return move(1);
    case 'page-up':
      return move(-room.page);
    case 'page-down':
      return move(room.page);
    case 'home':
    case 'g':
      return move(Number.NEGATIVE_INFINITY);
    case 'end':
    case 'G':
      return move(Number.POSITIVE_INFINITY);
    case 'left':
      return [resorted(state, -1, room.columns), none];
    case 'right':
    case 's':
      return [resorted(state, 1, room.columns), none];
    case 'S':
    case 'R':
      return [withOrder({ ...state, descending: !state.descending }), none];
    case 'r':
      return [state, { type: 'reload' }];
    case 'c':
      if (state.selected === null) return [withMessage(state, 'no worker is selected', true), none];
      if (state.selected.slot === null) return [withMessage(state, 'a spare has no slot to recycle', true), none];
      return [state, { type: 'recycle', slot: state.selected.slot }];
    case '+':
    case '=':
      return [state, { type: 'scale', by: 1 }];
    case '-':
      return [state, { type: 'scale', by: -1 }];
    case 'escape':
      return [{ ...state, message: null }, none];
    default:
      return [state, none];
  }
}

export function withMessage(state: State, text: string, bad = false): State {
  return { ...state, message: { text: plain(text), bad } };
}

function moved(state: State, by: number, page: number): State {
  const workers = shown(state);
  const index = Math.min(workers.length - 1, Math.max(0, selectedIndex(state) + by));
  const next = { ...state, selected: workers[index] ?? null };
  return { ...next, offset: offsetFor(next, page) };
}

/** To the next column among those that are seen. */
function resorted(state: State, by: 1 | -1, cells: number): State {
  const seen = columnsFor(cells);
  const index = seen.findIndex(({ name }) => name === state.sort);
  const column = seen[(Math.max(0, index) + by + seen.length) % seen.length] ?? columns[0];
  if (column === undefined) return state;
  return withOrder({ ...state, sort: column.name, descending: column.first === 'descending' });
}

function withOrder(state: State): State {
  return withMessage(state, `sorted by ${state.sort}, ${state.descending ? 'largest' : 'smallest'} first`);
}

function news(before: Status, { pid, reload: { last } }: Status): Message | null {
  if (pid !== before.pid) return { text: `another master serves now: pid ${pid}`, bad: false };
  return last === null || last.reload === before.reload.last?.reload ? null : outcome(last);
}

function outcome({ reload, verdict, reason, generation }: LastReload): Message {
  const why = reason === null ? '' : `: ${plain(reason)}`;
  if (verdict === 'completed')
    return { text: `reload ${reload} completed, generation ${generation} serves`, bad: false };
  return { text: `reload ${reload} ${verdictText[verdict]}${why}`, bad: true };
}
