/** Writes a line for each request that has ended, and sees to it that each has an id. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2';
import { performance } from 'node:perf_hooks';
import { parseAccessFormat } from '../../config/access-format.ts';
import type { BootInfo } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';
import type { Watcher } from '../traffic/finishes.ts';
import type { Connection, StreamInFlight, Traffic } from '../traffic/traffic.ts';
import { Destination } from './destination.ts';
import { type Formatter, jsonFormatter, textFormatter } from './format.ts';
import { type AccessRecord, countBodies, recordOf, streamRecordOf, upgradeRecordOf } from './record.ts';

const requestId = 'x-request-id';
/** What others may send as one; anything else is replaced. */
const goodId = /^[\w.:@/+=,-]{1,200}$/;
/** Milliseconds between two reports of lines that were lost. */
const lossEvery = 1_000;

export class AccessLog implements Watcher {
  readonly #destination: Destination;
  readonly #format: Formatter;

  constructor(wanted: NonNullable<BootInfo['accessLog']>, boot: BootInfo, channel: Channel) {
    this.#destination = new Destination(wanted.target);
    const { slot, id: worker, generation } = boot;
    const { name } = boot.settings;
    const parts = wanted.format === 'json' ? null : parseAccessFormat(wanted.format);
    this.#format = Array.isArray(parts) ? textFormatter(parts) : jsonFormatter({ name, slot, worker, generation });
    countBodies();
    setInterval(() => {
      const trouble = this.#destination.takeTrouble();
      if (trouble !== null) channel.send({ type: 'log-trouble', ...trouble });
    }, lossEvery).unref();
  }

  /** Has requests carry an id from their beginning, for the app, the log and the client. */
  identify(traffic: Traffic): void {
    traffic.onBegin = (request, response) => {
      const id = idIn(request.headers);
      if (!response.headersSent) response.setHeader(requestId, id);
    };
    // An app that uses the streams themselves has it in their headers, and answers as it likes.
    traffic.onHeaders = idIn;
  }

  reopen(): void {
    this.#destination.reopen();
  }

  /** Before the worker leaves. */
  async finish(): Promise<void> {
    await this.#destination.flush();
  }

  onFinished(request: IncomingMessage, response: ServerResponse, connection: Connection, milliseconds: number): void {
    this.#write(recordOf(request, response, connection, milliseconds, false));
  }

  onStreamFinished(
    stream: ServerHttp2Stream,
    about: StreamInFlight,
    request: Http2ServerRequest | null,
    connection: Connection,
    milliseconds: number,
  ): void {
    this.#write(streamRecordOf(stream, about, request, connection, milliseconds));
  }

  onAborted(response: ServerResponse | null, connection: Connection, milliseconds: number): void {
    if (response !== null) this.#write(recordOf(response.req, response, connection, milliseconds, true));
  }

  onUpgrade(request: IncomingMessage, connection: Connection): void {
    const since = performance.now();
    connection.raw.once('close', () => this.#write(upgradeRecordOf(request, connection, performance.now() - since)));
  }

  #write(record: AccessRecord): void {
    this.#destination.write(this.#format(record, Date.now()));
  }
}

/** @returns the id that is in these headers: the one they came with, or a new one */
function idIn(headers: Record<string, unknown>): string {
  const given = headers[requestId];
  const id = typeof given === 'string' && goodId.test(given) ? given : randomUUID();
  headers[requestId] = id;
  return id;
}
