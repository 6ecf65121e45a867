/** Checks what a service answers, as far as a command goes by it. Its texts are plain already, see `client.ts`. */
import { ControlError } from '../errors.ts';
import { type FigureTable, figures } from '../protocol/figures.ts';
import type { LastReload, LastUpgrade, Status } from '../protocol/status.ts';
import type { TimelineEntry } from '../protocol/timeline-entry.ts';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

/** More workers than any service has. */
const maxWorkers = 10_000;
const maxListeners = 1_000;
/** More generations than live at a time, and more files than are named. */
const maxReleases = 1_000;
/** More entries than any timeline has. */
const maxEntries = 5_000;

const text: Check = (value) => typeof value === 'string';
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const maybe =
  (check: Check): Check =>
  (value) =>
    value === null || value === undefined || check(value);
const nullOr =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const fields =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(checks).every(([name, check]) => check((value as Fields)[name]));
const list =
  (check: Check, max: number): Check =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every(check);
/** Longest text in a row of the table of workers. */
const maxCell = 200;
const cellText: Check = (value) => typeof value === 'string' && value.length <= maxCell;

/** A figure that this version does not know is not shown. */
const cell = ([name, value]: [string, unknown], table: FigureTable = figures): boolean => {
  const unit = Object.hasOwn(table, name) ? table[name]?.unit : undefined;
  return unit === undefined || maybe(unit === 'phase' || unit === 'reason' ? cellText : number)(value);
};
const row: Check = (value) =>
  fields({ slot: nullOr(number), id: number })(value) && Object.entries(value as Fields).every((each) => cell(each));
const reloadEnd = {
  ...{ reload: number, verdict: text, generation: number, reason: maybe(text), duration: number },
  // Only a reload that was judged by its traffic has it.
  traffic: maybe(text),
};
const served = fields({ requests: number, errors: number, p99: maybe(number) });
const trial = fields({ seconds: number, left: number, minRequests: number, fresh: served, old: served });
const upgradeEnd = { upgrade: number, verdict: text, pid: maybe(number), reason: maybe(text), duration: number };
const release = fields({
  ...{ generation: number, path: text, version: nullOr(text), commit: nullOr(text), moved: nullOr(text) },
  changed: nullOr(fields({ count: number, files: list(text, maxReleases) })),
});
const status = fields({
  ...{ prefork: text, node: text, name: text, state: text, health: text, app: text },
  ...{ pid: number, uptime: number, generation: number, wanted: number, ready: number },
  reload: fields({
    running: maybe(fields({ reload: number, step: text, uptime: number, trial: maybe(trial), compared: maybe(text) })),
    last: maybe(fields(reloadEnd)),
  }),
  upgrade: fields({
    running: maybe(fields({ upgrade: number, step: text, pid: maybe(number) })),
    last: maybe(fields(upgradeEnd)),
  }),
  scaling: maybe(
    fields({ min: number, max: number, last: maybe(fields({ from: number, to: number, reason: text, ago: number })) }),
  ),
  // Earlier versions do not say it.
  releases: (value) => value === undefined || list(release, maxReleases)(value),
  spares: (value) => value === undefined || fields({ wanted: number, ready: number })(value),
  leader: (value) =>
    value === undefined ||
    maybe(fields({ slot: maybe(number), worker: number, pid: maybe(number), uptime: number }))(value),
  listeners: list(fields({ address: text, waiting: maybe(number) }), maxListeners),
  workers: list(row, maxWorkers),
});
const entry = fields({
  ...{ seq: number, time: text, kind: text, level: text, text },
  ...{ slot: maybe(number), worker: maybe(number) },
});

function checked<T>(check: Check, answer: unknown, from: string): T {
  if (!check(answer)) throw new ControlError(`${from} answers, but not as prefork does`);
  return answer as T;
}

/** @throws ControlError if it is no status. @param from path of the socket */
export function checkStatus(answer: unknown, from: string): Status {
  return checked<Status>(status, answer, from);
}

/** @throws ControlError if it is no outcome of a reload */
export function checkReload(answer: unknown, from: string): LastReload {
  return checked<LastReload>(fields(reloadEnd), answer, from);
}

/** @throws ControlError if it is no outcome of an upgrade */
export function checkUpgrade(answer: unknown, from: string): LastUpgrade {
  return checked<LastUpgrade>(fields(upgradeEnd), answer, from);
}

/** What has come of an order to scale, as a line. @throws ControlError if it is no answer to `/scale` */
export function scaleText(answer: unknown, from: string): string {
  const { workers, until } = checked<{ readonly workers: number; readonly until?: unknown }>(
    fields({ workers: number }),
    answer,
    from,
  );
  const end = until === 'load' ? 'the load asks for more or fewer' : 'the next reload';
  return `${workers} workers from now on, until ${end}`;
}

/** The timeline; none if it is something else, or if the service has none. */
export function entriesIn(answer: unknown): readonly TimelineEntry[] {
  const isTimeline = fields({ entries: list(entry, maxEntries) })(answer);
  return isTimeline ? (answer as { readonly entries: readonly TimelineEntry[] }).entries : [];
}
