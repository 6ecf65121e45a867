/**
 * The last things that happened to the service, for the page and `prefork top`: what the log says, in the same words,
 * without the start and end of every worker. Kept in memory, bounded.
 */
import type { Action } from '../../core/actions.ts';
import type { Event } from '../../core/events.ts';
import { findWorker, isLive, isSpare } from '../../core/fleet.ts';
import type { Fleet, PlaceReason, Worker } from '../../core/model.ts';
import type { TimelineEntry, TimelineKind } from '../../protocol/timeline-entry.ts';
import type { Line } from './line.ts';
import type { Circumstances, Observer } from './observer.ts';

/** What is to be recorded. */
export interface Happening {
  readonly kind: TimelineKind;
  readonly level: Line['level'];
  readonly text: string;
  readonly worker?: Pick<Worker, 'slot' | 'id' | 'generation' | 'pid'> | undefined;
  readonly stack?: readonly string[] | undefined;
  /** What else is known, one fact a line. */
  readonly details?: readonly string[] | undefined;
}

/** Entries of one kind: a crash loop does not push the last reload out. */
const maxPerKind = 100;
const maxText = 1_000;
const maxFrames = 30;
const maxFrame = 300;
const maxDetail = 500;

export class Timeline implements Observer {
  /** Names this life of the timeline: a number from before a restart means nothing after it. */
  readonly instance: string;
  /** Is called after each entry. */
  onAdded: () => void = () => {};
  readonly #now: () => Date;
  #entries: readonly TimelineEntry[] = [];
  #last = 0;

  constructor(now: () => Date = () => new Date(), pid: number = process.pid) {
    this.#now = now;
    this.instance = `${now().getTime().toString(36)}x${pid.toString(36)}`;
  }

  /** Number of the newest entry; 0 if there is none. */
  get last(): number {
    return this.#last;
  }

  get entries(): readonly TimelineEntry[] {
    return this.#entries;
  }

  /** Entries newer than number `seq`, oldest first. */
  after(seq: number): readonly TimelineEntry[] {
    if (seq >= this.#last) return [];
    return this.#entries.filter((entry) => entry.seq > seq);
  }

  add({ kind, level, text, worker, stack = [], details = [] }: Happening): void {
    this.#last += 1;
    const entry: TimelineEntry = {
      seq: this.#last,
      time: this.#now().toISOString(),
      kind,
      level,
      text: text.slice(0, maxText),
      slot: worker?.slot ?? null,
      worker: worker?.id ?? null,
      generation: worker?.generation ?? null,
      pid: worker?.pid ?? null,
      stack: stack.slice(0, maxFrames).map((frame) => frame.slice(0, maxFrame)),
      ...(details.length === 0
        ? {}
        : { details: details.slice(0, maxFrames).map((detail) => detail.slice(0, maxDetail)) }),
    };
    const same = this.#entries.filter((other) => other.kind === kind);
    const oldest = same.length >= maxPerKind ? same[0] : undefined;
    this.#entries = [...this.#entries.filter((other) => other !== oldest), entry];
    this.onAdded();
  }

  event(event: Event, { fleet, line }: Circumstances): void {
    const kind = kindOfEvent(event, fleet);
    if (kind !== null && line !== null) this.#tell(kind, line, 'id' in event ? findWorker(fleet, event.id) : undefined);
  }

  action(action: Action, { fleet, line }: Circumstances): void {
    const kind = kindOfAction(action);
    if (kind !== null && line !== null)
      this.#tell(kind, line, 'id' in action ? findWorker(fleet, action.id) : undefined);
  }

  #tell(kind: TimelineKind, { level, message, stack, details }: Line, worker: Worker | undefined): void {
    this.add({ kind, level, text: message, worker, stack, details });
  }
}

function kindOfEvent(event: Event, before: Fleet): TimelineKind | null {
  switch (event.type) {
    case 'workerExited': {
      const worker = findWorker(before, event.id);
      if (worker === undefined) return null;
      if (isLive(worker) || isSpare(worker)) return 'crash';
      // Of one that was on its way out only what should not have been.
      if (event.death === undefined) return null;
      if (event.death.cause !== 'asked') return 'crash';
      // What was not answered was cut by the kill.
      return worker.phase.name === 'killed' && event.death.inFlight > 0 ? 'kill' : null;
    }
    case 'workerSpawnFailed':
    case 'workerMisbehaved':
      return 'crash';
    case 'workerExcused':
    case 'workerHindered':
      return 'health';
    case 'reloadRequested':
      return 'reload';
    case 'scaleRequested':
    case 'resizeRequested':
    case 'poolDismissed':
      return 'scale';
    case 'stopRequested':
      return 'stop';
    default:
      return null;
  }
}

const placeKinds = { gone: 'crash', scale: 'scale', recycle: 'recycle' } as const satisfies Record<
  PlaceReason,
  TimelineKind
>;

function kindOfAction(action: Action): TimelineKind | null {
  switch (action.type) {
    case 'place':
      return placeKinds[action.reason];
    case 'drain':
      if (action.reason === 'boot-timeout') return 'kill';
      // A reload, a smaller pool and a stop have one entry, not one for each worker.
      return action.reason === 'reload' || action.reason === 'scale' || action.reason === 'shutdown' ? null : 'recycle';
    case 'kill':
      if (action.reason === 'stuck') return 'stuck';
      return action.reason === 'shutdown' || action.reason === 'reload-rejected' ? null : 'kill';
    case 'prepare':
    case 'try':
    case 'judge':
    case 'promote':
    case 'reject':
    case 'complete':
    case 'halt':
      return 'reload';
    case 'hold':
      return 'reload';
    case 'resize':
    case 'holdSize':
      return 'scale';
    case 'declareStarted':
      return 'start';
    case 'exit':
      return 'stop';
    default:
      return null;
  }
}
