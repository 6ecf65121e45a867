/** The stream from the master: opens it, opens it again, and says how it is. */
import type { ShownRequests } from '../protocol/requests.ts';
import type { Status } from '../protocol/status.ts';
import type { TimelineEntry } from '../protocol/timeline-entry.ts';

export type Link =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  /** The connection is open, and nothing comes: the master hangs or is stopped. */
  | { readonly state: 'silent'; readonly seconds: number }
  | { readonly state: 'lost'; readonly seconds: number };

export interface ConnectionObserver {
  /** @param isSame whether it is the same master as before; entries that were seen do not come again then */
  readonly onHello: (isSame: boolean) => void;
  readonly onStatus: (status: Status) => void;
  readonly onRequests: (requests: ShownRequests) => void;
  readonly onEntry: (entry: TimelineEntry) => void;
  readonly onLink: (link: Link) => void;
}

/** Milliseconds without an event after which something is wrong. */
const patience = 4_000;
const retryAfter = 3_000;

export class Connection {
  readonly #observer: ConnectionObserver;
  #source: EventSource | null = null;
  #instance: string | null = null;
  #heardAt = performance.now();
  #isOpen = false;

  constructor(observer: ConnectionObserver) {
    this.#observer = observer;
  }

  start(): void {
    this.#open();
    setInterval(() => this.#look(), 1_000);
    // Gives the connection back while the page rests in the browser's cache.
    window.addEventListener('pagehide', () => this.#close());
    window.addEventListener('pageshow', (event) => {
      if (event.persisted) this.#open();
    });
  }

  #open(): void {
    this.#close();
    const source = new EventSource('events');
    this.#source = source;
    const on = <T>(name: string, then: (data: T) => void): void => {
      source.addEventListener(name, (event) => {
        this.#heardAt = performance.now();
        this.#isOpen = true;
        then(JSON.parse((event as MessageEvent<string>).data) as T);
      });
    };
    on<{ instance: string; resumed: boolean }>('hello', ({ instance, resumed }) => {
      const isSame = instance === this.#instance && resumed;
      this.#instance = instance;
      this.#observer.onHello(isSame);
      this.#look();
    });
    on<Status>('status', this.#observer.onStatus);
    on<ShownRequests>('requests', this.#observer.onRequests);
    on<TimelineEntry>('entry', this.#observer.onEntry);
    source.addEventListener('error', () => {
      this.#isOpen = false;
      this.#look();
      // The browser gives up if it was refused, as by a master that has too many streams.
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(() => {
        if (this.#source === source) this.#open();
      }, retryAfter);
    });
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
    this.#isOpen = false;
  }

  #look(): void {
    const silence = performance.now() - this.#heardAt;
    const seconds = Math.round(silence / 1_000);
    if (this.#isOpen) this.#observer.onLink(silence > patience ? { state: 'silent', seconds } : { state: 'live' });
    else this.#observer.onLink(this.#instance === null ? { state: 'connecting' } : { state: 'lost', seconds });
  }
}
