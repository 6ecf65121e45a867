/** Sends the figures to a statsd by UDP. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Settings } from '../../config/resolved.ts';
import type { Family } from './family.ts';
import { datagrams, StatsdLines } from './statsd-lines.ts';

/** Milliseconds between two reports. */
const every = 1_000;

export type StatsdSettings = Pick<Settings, 'statsd' | 'statsdPrefix' | 'statsdTags'>;

/** Reports once a second, if there is a statsd to report to. Never throws, and the service never waits for it. */
export class Statsd {
  readonly #families: () => readonly Family[];
  readonly #settings: () => StatsdSettings;
  readonly #lines = new StatsdLines();
  #socket: Socket | null = null;
  #isSilent = false;

  constructor(families: () => readonly Family[], settings: () => StatsdSettings) {
    this.#families = families;
    this.#settings = settings;
  }

  start(): void {
    setInterval(() => this.report(), every).unref();
  }

  /** From now on another master reports. @param isSilent false if this one does again */
  silence(isSilent: boolean): void {
    this.#isSilent = isSilent;
  }

  /** What has been counted so far was reported by another master. */
  rebase(): void {
    this.#lines.lines(this.#families(), this.#settings());
  }

  /** @returns once what was reported is with the kernel */
  async report(): Promise<void> {
    const settings = this.#settings();
    const { statsd } = settings;
    if (statsd === null || this.#isSilent) return;
    const socket = this.#open(statsd.host);
    const sent = datagrams(this.#lines.lines(this.#families(), settings)).map(
      (datagram) => new Promise<void>((resolve) => socket.send(datagram, statsd.port, statsd.host, () => resolve())),
    );
    await Promise.all(sent);
  }

  #open(host: string): Socket {
    if (this.#socket === null) {
      this.#socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
      // Nothing listens there, for now: it is UDP.
      this.#socket.on('error', () => {});
      this.#socket.unref();
    }
    return this.#socket;
  }
}
