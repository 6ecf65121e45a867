/**
 * `GET /events`: the status once a second and soon after each change, what is in flight, and the timeline, as server-sent
 * events.
 *
 * Readers pull: each has a place in the timeline, and is given what comes after it when it has taken what it was given
 * before. So a slow one is given fewer statuses, no reader has more waiting for it than one batch, and one that does not
 * read at all is dropped.
 */
import { type Status, statusVersion } from '../../protocol/status.ts';
import type { TimelineEntry } from '../../protocol/timeline-entry.ts';
import type { Timeline } from '../log/timeline.ts';
import { type EventSink, frameOf } from './event-sink.ts';
import { type Answer, type Call, refuse } from './route.ts';

export interface EventsOptions {
  readonly status: () => Status;
  readonly timeline: Timeline;
  /** What is in flight, sent once a second; left out if nobody says it. */
  readonly requests?: (() => Promise<unknown>) | null;
  /** Milliseconds between two statuses; 1 s by default. */
  readonly every?: number;
  /** Milliseconds after which a reader that does not read is dropped; 10 s by default. */
  readonly patience?: number;
}

interface Reader {
  readonly sink: EventSink;
  /** Number of the last entry it was given. */
  seen: number;
}

/** Milliseconds from a change to the status that shows it: changes come in crowds. */
const soon = 200;
/** Bytes of entries that are written at once. */
const batch = 64 * 1024;

export class Events {
  readonly #options: Required<EventsOptions>;
  readonly #readers = new Set<Reader>();
  #timer: NodeJS.Timeout | null = null;
  #soon: NodeJS.Timeout | null = null;
  #isAsking = false;

  constructor(options: EventsOptions) {
    this.#options = { requests: null, every: 1_000, patience: 10_000, ...options };
    options.timeline.onAdded = () => this.changed();
  }

  get timeline(): Timeline {
    return this.#options.timeline;
  }

  /** To be called at a change that readers are to see soon. */
  changed(): void {
    if (this.#readers.size === 0 || this.#soon !== null) return;
    this.#soon = setTimeout(() => {
      this.#soon = null;
      this.#tick();
    }, soon).unref();
  }

  /** Answers `GET /events`. */
  answer({ headers }: Call): Answer {
    const { timeline } = this.#options;
    const given = headers['last-event-id'];
    const [, instance, seq] = /^([0-9a-z]{1,24})-(\d{1,15})$/.exec(String(given ?? '')) ?? [];
    if (given !== undefined && given !== '' && seq === undefined)
      return refuse(400, 'bad_request', 'Last-Event-ID: expected one that came with an event, or none');
    // A number from before a restart of the master says nothing.
    const isOurs = instance === timeline.instance && Number(seq) <= timeline.last;
    return { stream: (sink) => this.#welcome(sink, isOurs ? Number(seq) : null) };
  }

  /** Sends what has not been sent, and ends all streams. */
  end(): void {
    if (this.#readers.size > 0) this.#tick();
    for (const { sink } of this.#readers) sink.end();
    this.#readers.clear();
    this.#rest();
  }

  #welcome(sink: EventSink, seen: number | null): void {
    const { status, timeline, every } = this.#options;
    const reader: Reader = { sink, seen: seen ?? 0 };
    sink.onDrain(() => this.#giveEntries(reader));
    sink.onClose(() => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) this.#rest();
    });
    this.#readers.add(reader);
    this.#timer ??= setInterval(() => {
      this.#tick();
      void this.#tellRequests();
    }, every).unref();
    const data = { version: statusVersion, instance: timeline.instance, resumed: seen !== null };
    sink.write(Buffer.from('retry: 2000\n'));
    sink.write(frameOf({ event: 'hello', data }));
    sink.write(frameOf({ event: 'status', data: status() }));
    this.#giveEntries(reader);
    void this.#tellRequests();
  }

  /** Workers are asked, which takes a moment: a reader that does not keep up does without. */
  async #tellRequests(): Promise<void> {
    const { requests } = this.#options;
    if (requests === null || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const frame = frameOf({ event: 'requests', data: await requests() });
      for (const { sink } of this.#readers) if (sink.keepsUp) sink.write(frame);
    } finally {
      this.#isAsking = false;
    }
  }

  #tick(): void {
    const { status, patience } = this.#options;
    const frame = frameOf({ event: 'status', data: status() });
    for (const reader of this.#readers) {
      const { sink } = reader;
      if (sink.behind > patience) {
        sink.drop();
        continue;
      }
      this.#giveEntries(reader);
      if (sink.keepsUp) sink.write(frame);
    }
  }

  /** In batches: what does not fit is given when the reader has taken what did. */
  #giveEntries(reader: Reader): void {
    let waiting: Buffer[] = [];
    let size = 0;
    const write = (): void => {
      if (waiting.length > 0) reader.sink.write(Buffer.concat(waiting));
      waiting = [];
      size = 0;
    };
    for (const entry of this.#options.timeline.after(reader.seen)) {
      if (!reader.sink.keepsUp) return;
      const frame = this.#frame(entry);
      waiting.push(frame);
      size += frame.length;
      reader.seen = entry.seq;
      if (size >= batch) write();
    }
    write();
  }

  #frame(entry: TimelineEntry): Buffer {
    return frameOf({ event: 'entry', id: `${this.#options.timeline.instance}-${entry.seq}`, data: entry });
  }

  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#timer = null;
    this.#soon = null;
  }
}
