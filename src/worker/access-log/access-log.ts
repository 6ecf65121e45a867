/** Writes a line for each request that has ended. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { type AccessField, parseAccessField } from '../../config/access-fields.ts';
import { parseAccessFormat } from '../../config/access-format.ts';
import type { AccessLogInfo, BootInfo } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';
import type { Connection, StreamInFlight } from '../traffic/connection.ts';
import type { Observer } from '../traffic/observer.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { trusting } from './client-address.ts';
import { Destination } from './destination.ts';
import { type Formatter, peerOf, textFormatter, type Wants, wantsOf } from './format.ts';
import { fieldsFormatter, jsonFormatter, jsonWantsOf } from './json.ts';
import {
  type AccessRecord,
  countBodies,
  RequestRecord,
  socketRecordOf,
  streamRecordOf,
  upgradeRecordOf,
} from './record.ts';
import { requestIds } from './request-id.ts';
import { skipping } from './skip.ts';

/** Milliseconds between two reports of lines that were lost. */
const lossEvery = 1_000;

/** Of a worker that has its slot. */
type SeatedBoot = BootInfo & { readonly slot: number };

export class AccessLog implements Observer {
  readonly #destination: Destination;
  readonly #format: Formatter;
  readonly #wants: Wants;
  /** Which requests have no line, by their URL; `null` if all have one. */
  readonly #skips: ((url: string) => boolean) | null;
  /** Connections that were upgraded: their lines are written when they are closed. */
  readonly #upgrades = new Map<Connection, { readonly request: IncomingMessage; readonly since: number }>();

  constructor(wanted: AccessLogInfo, boot: SeatedBoot, channel: Channel) {
    this.#destination = new Destination(wanted.target);
    const [format, wants] = formatOf(wanted, boot);
    this.#format = format;
    this.#wants = wants;
    this.#skips = wanted.skip === null ? null : skipping(wanted.skip);
    if (this.#wants.bytes) countBodies();
    setInterval(() => {
      const trouble = this.#destination.takeTrouble();
      if (trouble !== null) channel.send({ type: 'log-trouble', ...trouble });
    }, lossEvery).unref();
  }

  /** Joins the traffic; if its lines have the ids of requests, these get their ids as well. */
  static join(traffic: Traffic, boot: SeatedBoot, channel: Channel): AccessLog | null {
    if (boot.accessLog === null) return null;
    const log = new AccessLog(boot.accessLog, boot, channel);
    traffic.subscribe(log);
    const { format, fields } = boot.accessLog;
    if (format === 'json' && fields?.includes('requestId') !== false) traffic.subscribe(requestIds());
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
    this.#write(streamRecordOf(stream, about, connection, milliseconds, false));
  }

  onStreamAborted(
    stream: ServerHttp2Stream,
    about: StreamInFlight,
    connection: Connection,
    milliseconds: number,
  ): void {
    this.#write(streamRecordOf(stream, about, connection, milliseconds, true));
  }

  onAborted(response: ServerResponse | null, connection: Connection, milliseconds: number): void {
    if (response !== null) this.#write(new RequestRecord(response.req, response, connection, milliseconds, true));
  }

  onUpgrade(request: IncomingMessage, connection: Connection): void {
    this.#upgrades.set(connection, { request, since: performance.now() });
  }

  onUpgradeRefused(request: IncomingMessage, connection: Connection, status: number, bytes: number): void {
    this.#write(socketRecordOf(request, connection, { status, bytes, milliseconds: 0, isAborted: false }));
  }

  onClosed(connection: Connection): void {
    const upgrade = this.#upgrades.get(connection);
    if (upgrade === undefined) return;
    this.#upgrades.delete(connection);
    this.#write(upgradeRecordOf(upgrade.request, connection, performance.now() - upgrade.since));
  }

  #write(record: AccessRecord): void {
    if (this.#skips?.(record.url) === true) return;
    this.#destination.write(this.#format(record, Date.now()));
  }
}

/** @returns what makes a line, and what it needs */
function formatOf({ format, fields, trustProxy }: AccessLogInfo, boot: SeatedBoot): [Formatter, Wants] {
  const clientOf = trusting(trustProxy) ?? peerOf;
  if (format !== 'json') {
    const parts = parseAccessFormat(format);
    // It was checked before; a format that is none has no parts.
    const known = Array.isArray(parts) ? parts : [];
    return [textFormatter(known, clientOf), wantsOf(known)];
  }
  const { slot, id: worker, generation } = boot;
  const writer = { name: boot.settings.name, slot, worker, generation };
  if (fields === null) return [jsonFormatter(writer, clientOf), jsonWantsOf(null)];
  const asked = fields.map(parseAccessField).filter((field): field is AccessField => typeof field !== 'string');
  return [fieldsFormatter(asked, writer, clientOf), jsonWantsOf(asked)];
}
