/**
 * Why workers died. What a worker tells while it lives is kept until it ends, about itself only and bounded; then its exit
 * becomes an event that has the whole story.
 */
import type { Settings } from '../../config/resolved.ts';
import type { Death, UnansweredRequest } from '../../core/death.ts';
import type { EventOf } from '../../core/events.ts';
import type { Figures, Worker } from '../../core/model.ts';
import { framesOf } from '../../protocol/error-text.ts';
import type { ExitReport } from '../../protocol/exit-report.ts';
import type { DyingMessage, ErrorReport, StackMessage, WorkerMessage } from '../../protocol/messages.ts';
import type { ReportedRequest } from '../../protocol/request.ts';
import { withoutQuery } from '../../protocol/requests.ts';
import { monotonic } from '../../system/monotonic.ts';
import { plain } from '../../system/plain.ts';
import type { Circumstances, Observer } from '../log/observer.ts';
import { coreDumpHint } from './core-dump.ts';
import { configuredHeapLimit, usualHeapLimit } from './heap-limit.ts';
import { OomKiller } from './oom-killer.ts';
import { judge } from './verdict.ts';

type Beat = Extract<WorkerMessage, { type: 'beat' }>;

/** Exits that the status shows. */
const maxReports = 20;
const maxFrames = 30;
const maxFrame = 300;
const maxFatal = 200;
/** What Node, V8 and the C library print before they end a process. */
const fatalLine = /^(?:# )?(?:FATAL ERROR: |Fatal |terminate called)|Assertion .* failed|double free|corrupted/;

/** What one worker has told. */
interface Told {
  figures: Figures | null;
  /** When the last heartbeat arrived; of {@link monotonic}. */
  beatAt: number;
  /** Of the last heartbeat, or of a stack that came after it. */
  requests: readonly ReportedRequest[];
  requestsAt: number;
  inFlight: number;
  frames: readonly string[];
  heapLimit: number | null;
  failure: ErrorReport | null;
  dying: DyingMessage | null;
  fatal: string | null;
}

export class Deaths implements Observer {
  readonly #told = new Map<number, Told>();
  readonly #oomKiller: OomKiller;
  readonly #settingsOf: (generation: number) => Settings;
  readonly #now: () => number;
  #reports: readonly ExitReport[] = [];

  /** @param now milliseconds, of a clock that only goes forward; only tests have another, and another killer */
  constructor(
    settingsOf: (generation: number) => Settings,
    oomKiller: OomKiller = new OomKiller(),
    now: () => number = monotonic,
  ) {
    this.#settingsOf = settingsOf;
    this.#oomKiller = oomKiller;
    this.#now = now;
  }

  /** The last exits that were not as they should be, oldest first. */
  get reports(): readonly ExitReport[] {
    return this.#reports;
  }

  onBeat(id: number, { figures, requests = [], heapLimit }: Beat): void {
    const told = this.#of(id);
    const now = this.#now();
    Object.assign(told, { figures, beatAt: now, requests, requestsAt: now, frames: [] });
    told.inFlight = figures.inFlight ?? 0;
    if (heapLimit !== undefined) told.heapLimit = heapLimit;
    this.#oomKiller.look();
  }

  /** It was asked where it is: what came with that is newer than its last heartbeat. */
  onStack(id: number, { frames, requests }: StackMessage): void {
    if (frames.length === 0) return;
    const told = this.#of(id);
    told.frames = frames;
    if (requests.length === 0) return;
    told.requests = requests;
    told.requestsAt = this.#now();
    told.inFlight = Math.max(told.inFlight, requests.length);
  }

  onFailed(id: number, error: ErrorReport): void {
    this.#of(id).failure = error;
  }

  onDying(id: number, message: DyingMessage): void {
    const told = this.#of(id);
    Object.assign(told, { dying: message, requests: message.requests, requestsAt: this.#now() });
    told.inFlight = message.inFlight;
  }

  /** Its drain is over: what was left is cut already, and told. */
  onDrained(id: number): void {
    Object.assign(this.#of(id), { requests: [], inFlight: 0 });
  }

  /** A line that it has printed on stderr, if its output is captured. */
  onPrinted(id: number, line: string): void {
    if (fatalLine.test(line)) this.#of(id).fatal = plain(line.slice(0, maxFatal).replace(/^# /, ''));
  }

  /** @returns the event with what is known of it. A part of this is read from the system, so it is called at once. */
  explain(event: EventOf<'workerExited'>, worker: Worker | undefined): EventOf<'workerExited'> {
    const told = this.#told.get(event.id) ?? newTold(this.#now());
    this.#told.delete(event.id);
    return worker === undefined ? event : { ...event, death: this.#deathOf(event, worker, told) };
  }

  /** The process is gone, or never was. */
  forget(id: number): void {
    this.#told.delete(id);
  }

  event(event: { readonly type: string }, { fleet, line }: Circumstances): void {
    if (event.type !== 'workerExited' || line === null) return;
    const exited = event as EventOf<'workerExited'>;
    const { death, code, signal, id } = exited;
    const worker = fleet.workers.find((each) => each.id === id);
    if (death === undefined || worker === undefined || !isRemarkable(worker, death)) return;
    const { slot, generation, pid } = worker;
    const report: ExitReport = {
      time: new Date().toISOString(),
      ...{ slot, worker: id, generation, pid, code, signal },
      cause: death.cause,
      text: line.message,
      // More people see the status than the log.
      requests: death.requests.map((request) => ({ ...request, url: withoutQuery(request.url) })),
      inFlight: death.inFlight,
      stack: death.stack,
      details: death.details,
    };
    this.#reports = [...this.#reports.slice(1 - maxReports), report];
  }

  #deathOf({ code, signal }: EventOf<'workerExited'>, worker: Worker, told: Told): Death {
    const { phase, generation, pid } = worker;
    const now = this.#now();
    const { figures, frames, failure, dying, fatal, heapLimit } = told;
    const requests = told.requests.map(
      (request): UnansweredRequest => ({
        ...request,
        age: Math.round(request.age + now - told.requestsAt),
      }),
    );
    const silent = Math.round(now - told.beatAt);
    const { cause, why, details } = judge({
      ...{ code, signal, phase, dying, failure, fatal, figures, silent, frames, requests, inFlight: told.inFlight },
      heapLimit: () =>
        configuredHeapLimit(this.#settingsOf(generation)) ??
        (heapLimit === null ? usualHeapLimit() : { bytes: heapLimit, option: null }),
      oom: () => this.#oomKiller.explain(),
    });
    const isOver = phase.name === 'draining' && cause === 'asked';
    return {
      cause,
      why,
      requests: isOver ? [] : requests,
      inFlight: isOver ? 0 : told.inFlight,
      stack: stackOf(told),
      details: cause === 'native' ? [...details, coreDumpHint(pid)] : details,
    };
  }

  #of(id: number): Told {
    const known = this.#told.get(id) ?? newTold(this.#now());
    this.#told.set(id, known);
    return known;
  }
}

function newTold(now: number): Told {
  return {
    ...{ figures: null, beatAt: now, requests: [], requestsAt: now, inFlight: 0, frames: [] },
    ...{ heapLimit: null, failure: null, dying: null, fatal: null },
  };
}

function stackOf({ failure, frames }: Told): readonly string[] {
  const lines = failure === null ? frames : framesOf(failure.stack);
  return lines.slice(0, maxFrames).map((line) => plain(line.trim().slice(0, maxFrame)));
}

/** Nobody asks about a worker that has left in peace. */
function isRemarkable({ phase }: Worker, { cause, inFlight }: Death): boolean {
  if (cause !== 'asked') return true;
  if (phase.name !== 'killed') return false;
  return inFlight > 0 || (phase.reason !== 'shutdown' && phase.reason !== 'reload-rejected');
}
