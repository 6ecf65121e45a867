/** Sends the figures to a statsd by UDP. */
import { createSocket, type Socket, type SocketType } from 'node:dgram';
import dns from 'node:dns';
import { isIP, isIPv6 } from 'node:net';
import type { Settings } from '../../config/resolved.ts';
import { monotonic } from '../../system/monotonic.ts';
import type { Family } from './family.ts';
import { datagrams, StatsdLines } from './statsd-lines.ts';

/** Milliseconds between two reports. */
const every = 1_000;
/** Milliseconds that the address of a host name counts for. */
const resolveEvery = 60_000;

export type StatsdSettings = Pick<Settings, 'statsd' | 'statsdPrefix' | 'statsdTags'>;

/** Reports once a second, if there is a statsd to report to. Never throws, and the service never waits for it. */
export class Statsd {
  readonly #families: () => readonly Family[];
  readonly #settings: () => StatsdSettings;
  readonly #lines = new StatsdLines();
  #socket: Socket | null = null;
  #type: SocketType = 'udp4';
  #resolved: { readonly host: string; readonly address: string; readonly until: number } | null = null;
  #isResolving = false;
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

  /** @param inherit counts what another master has reported */
  skip(inherit: () => void): void {
    this.#lines.skip(inherit, this.#families, this.#settings());
  }

  /** @returns once what was reported is with the kernel */
  async report(): Promise<void> {
    const settings = this.#settings();
    const { statsd } = settings;
    if (statsd === null || this.#isSilent) return;
    const address = await this.#addressOf(statsd.host);
    // What was counted meanwhile is in the next report.
    if (address === null) return;
    const socket = this.#open(address);
    const sent = datagrams(this.#lines.lines(this.#families(), settings)).map(
      (datagram) => new Promise<void>((resolve) => socket.send(datagram, statsd.port, address, () => resolve())),
    );
    await Promise.all(sent);
  }

  /**
   * Looks a name up now and then, one at a time: a look-up that takes long holds a thread, which others need.
   *
   * @returns what is known of it; `null` if nothing is
   */
  async #addressOf(host: string): Promise<string | null> {
    if (isIP(host) !== 0) return host;
    const isKnown = this.#resolved?.host === host;
    const isFresh = isKnown && monotonic() < (this.#resolved?.until ?? 0);
    if (!isFresh && !this.#isResolving) {
      this.#isResolving = true;
      const found = dns.promises.lookup(host).then(
        ({ address }) => {
          this.#resolved = { host, address, until: monotonic() + resolveEvery };
        },
        // What was known stays; otherwise there is nobody to report to, for now.
        () => {},
      );
      const done = found.finally(() => {
        this.#isResolving = false;
      });
      if (!isKnown) await done;
    }
    return this.#resolved?.host === host ? this.#resolved.address : null;
  }

  #open(address: string): Socket {
    const type = isIPv6(address) ? 'udp6' : 'udp4';
    if (this.#socket !== null && this.#type !== type) {
      this.#socket.close();
      this.#socket = null;
    }
    if (this.#socket === null) {
      this.#type = type;
      this.#socket = createSocket(type);
      // Nothing listens there, for now: it is UDP.
      this.#socket.on('error', () => {});
      this.#socket.unref();
    }
    return this.#socket;
  }
}
