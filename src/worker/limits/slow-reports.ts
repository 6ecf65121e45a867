/**
 * What the master is told of slow requests: of each that it runs, and how it ended. A thousand at once are a few lines, and
 * how many more there are.
 */
import type { SlowRequest } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';

/** Requests of which is told in so many milliseconds; of the others it is said how many they are. */
const most = 10;
const period = 10_000;
/** Requests of which is told at a time: each has an end. */
const mostAtATime = 100;

export class SlowReports {
  readonly #channel: Pick<Channel, 'send' | 'backlog'>;
  readonly #now: () => number;
  #since = Number.NEGATIVE_INFINITY;
  #told = 0;
  #more = 0;
  #pending: SlowRequest[] = [];
  /** Requests of which was told, and that run. */
  #running = 0;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(channel: Pick<Channel, 'send' | 'backlog'>, now: () => number = () => performance.now()) {
    this.#channel = channel;
    this.#now = now;
  }

  /** @returns whether it is told of; if not, it is one of those that are only counted */
  begin(request: SlowRequest): boolean {
    const now = this.#now();
    if (now - this.#since >= period) {
      this.#flushMore();
      this.#since = now;
      this.#told = 0;
    }
    if (this.#told >= most || this.#running >= mostAtATime) {
      this.#more += 1;
      return false;
    }
    this.#told += 1;
    if (request.state === 'running') this.#running += 1;
    this.#pending.push(request);
    return true;
  }

  /** @param request of which {@link begin} has said that it is told of */
  end(request: SlowRequest): void {
    this.#running -= 1;
    this.#pending.push(request);
  }

  /** Sends what has come together. To be called now and then. */
  flush(): void {
    if (this.#now() - this.#since >= period) this.#flushMore();
    while (this.#pending.length > 0) {
      this.#channel.send({ type: 'slow', requests: this.#pending.splice(0, most), more: 0, within: period });
    }
  }

  /** In the order in which it was. */
  #flushMore(): void {
    if (this.#more === 0) return;
    const requests = this.#pending.splice(0, most);
    this.#channel.send({ type: 'slow', requests, more: this.#more, within: period });
    this.#more = 0;
  }
}
