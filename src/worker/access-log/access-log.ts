/** Writes a line for each request that has ended. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { parseAccessFormat } from '../../config/access-format.ts';
import type { BootInfo } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';
import type { Connection, StreamInFlight } from '../traffic/connection.ts';
import type { Observer } from '../traffic/observer.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { Destination } from './destination.ts';
import { type Formatter, jsonFormatter, textFormatter, type Wants, wantsOf } from './format.ts';
import { type AccessRecord, countBodies, RequestRecord, streamRecordOf, upgradeRecordOf } from './record.ts';
import { requestIds } from './request-id.ts';

/** Milliseconds between two reports of lines that were lost. */
const lossEvery = 1_000;

export class AccessLog implements Observer {
  readonly #destination: Destination;
  readonly #format: Formatter;
  readonly #wants: Wants;
  /** Connections that were upgraded: their lines are written when they are closed. */
  readonly #upgrades = new Map<Connection, { readonly request: IncomingMessage; readonly since: number }>();

  constructor(wanted: NonNullable<BootInfo['accessLog']>, boot: BootInfo, channel: Channel) {
    this.#destination = new Destination(wanted.target);
    const { slot, id: worker, generation } = boot;
    const { name } = boot.settings;
    const parts = wanted.format === 'json' ? null : parseAccessFormat(wanted.format);
    this.#format = Array.isArray(parts) ? textFormatter(parts) : jsonFormatter({ name, slot, worker, generation });
    this.#wants = wantsOf(Array.isArray(parts) ? parts : null);
    if (this.#wants.bytes) countBodies();
    setInterval(() => {
      const trouble = this.#destination.takeTrouble();
      if (trouble !== null) channel.send({ type: 'log-trouble', ...trouble });
    }, lossEvery).unref();
  }

  /** Joins the traffic; with the format `json` requests get their ids as well. */
  static join(traffic: Traffic, boot: BootInfo, channel: Channel): AccessLog | null {
    if (boot.accessLog === null) return null;
    const log = new AccessLog(boot.accessLog, boot, channel);
    traffic.subscribe(log);
    if (boot.accessLog.format === 'json') traffic.subscribe(requestIds);
    return log;
  }

  reopen(): void {
    this.#destination.reopen();
  }

  /** Before the worker leaves. */
  async finish(): Promise<void> {
    await this.#destination.flush();
  }

  /** Asks for the client's address while it is connected: Node asks the kernel, and keeps the answer. */
  onConnection({ raw }: Connection): void {
    if (this.#wants.remote) void raw.remoteAddress;
  }

  onFinished(request: IncomingMessage, response: ServerResponse, connection: Connection, milliseconds: number): void {
    this.#write(new RequestRecord(request, response, connection, milliseconds, false));
  }

  onStreamFinished(
    stream: ServerHttp2Stream,
    about: StreamInFlight,
    connection: Connection,
    milliseconds: number,
  ): void {
    this.#write(streamRecordOf(stream, about, connection, milliseconds));
  }

  onAborted(response: ServerResponse | null, connection: Connection, milliseconds: number): void {
    if (response !== null) this.#write(new RequestRecord(response.req, response, connection, milliseconds, true));
  }

  onUpgrade(request: IncomingMessage, connection: Connection): void {
    this.#upgrades.set(connection, { request, since: performance.now() });
  }

  onClosed(connection: Connection): void {
    const upgrade = this.#upgrades.get(connection);
    if (upgrade === undefined) return;
    this.#upgrades.delete(connection);
    this.#write(upgradeRecordOf(upgrade.request, connection, performance.now() - upgrade.since));
  }

  #write(record: AccessRecord): void {
    this.#destination.write(this.#format(record, Date.now()));
  }
}
