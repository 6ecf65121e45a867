/** One request as the access log sees it, and how much of a response's body was sent. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { sentHead } from '../../system/node-internals.ts';
import { bytesWritten, type Connection, type StreamInFlight } from '../traffic/connection.ts';
import { hidden } from '../traffic/hidden.ts';
import { urlOf } from '../traffic/in-flight.ts';

/** What both kinds of line are made of. What is not asked for is not found out. */
export interface AccessRecord {
  readonly remote: string;
  readonly method: string;
  readonly url: string;
  /** `HTTP/1.1` */
  readonly protocol: string;
  readonly status: number;
  /** Of the body; `null` if unknown. */
  readonly bytes: number | null;
  readonly milliseconds: number;
  readonly isAborted: boolean;
  /** @param name in lower case, as below */
  requestHeader(name: string): string | null;
  responseHeader(name: string): string | null;
}

/** The status of nginx for a client that leaves before there is a response. */
const clientClosed = 499;
/** Bytes of the body of each response. */
const sizes = hidden<number>();

/** Makes every response count the bytes of its body. */
export function countBodies(): void {
  const { prototype } = process.getBuiltinModule('node:http').ServerResponse;
  for (const name of ['write', 'end'] as const) {
    const original = prototype[name] as (this: ServerResponse, ...args: unknown[]) => unknown;
    const counting = function (this: ServerResponse, chunk?: unknown, encoding?: unknown): unknown {
      const size = sizeOf(chunk, encoding);
      if (size > 0) sizes.put(this, (sizes.of(this) ?? 0) + size);
      // biome-ignore lint/complexity/noArguments: passed on as they came
      return Reflect.apply(original, this, arguments);
    };
    Object.defineProperty(counting, 'name', { value: name });
    Object.defineProperty(prototype, name, { value: counting, writable: true, configurable: true });
  }
}

function sizeOf(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string')
    return Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}

/** Of a request of HTTP/1. */
export class RequestRecord implements AccessRecord {
  readonly milliseconds: number;
  readonly isAborted: boolean;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: Connection;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    milliseconds: number,
    isAborted: boolean,
  ) {
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
    this.milliseconds = milliseconds;
    this.isAborted = isAborted;
  }

  get remote(): string {
    return remoteOf(this.#connection);
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  get url(): string {
    return urlOf(this.#request);
  }

  get protocol(): string {
    return protocolOf(this.#request);
  }

  get status(): number {
    return this.isAborted && !this.#response.headersSent ? clientClosed : this.#response.statusCode;
  }

  get bytes(): number {
    const { statusCode } = this.#response;
    const hasBody = this.#request.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304;
    return hasBody ? (sizes.of(this.#response) ?? 0) : 0;
  }

  requestHeader(name: string): string | null {
    return headerText(this.#request.headers[name]);
  }

  responseHeader(name: string): string | null {
    return headerText(this.#response.getHeader(name)) ?? headOf(this.#response, name);
  }
}

/** Of a connection that was upgraded to another protocol. */
export function upgradeRecordOf(request: IncomingMessage, connection: Connection, milliseconds: number): AccessRecord {
  const { socket, upgraded } = connection;
  const bytes = Math.max(0, bytesWritten(socket) - (upgraded?.written ?? 0));
  // The app writes the head itself, and may have refused. A stream that is no socket does not say what is written.
  const isAborted = bytes === 0 && socket.bytesWritten !== undefined;
  const status = upgraded?.head.status ?? (isAborted ? clientClosed : 101);
  return socketRecordOf(request, connection, { status, bytes, milliseconds, isAborted });
}

/** Of a request that was answered without a response of Node's. */
export function socketRecordOf(
  request: IncomingMessage,
  connection: Connection,
  answer: Pick<AccessRecord, 'status' | 'bytes' | 'milliseconds' | 'isAborted'>,
): AccessRecord {
  return {
    ...answer,
    remote: remoteOf(connection),
    method: request.method ?? '',
    url: urlOf(request),
    protocol: protocolOf(request),
    requestHeader: (name) => headerText(request.headers[name]),
    responseHeader: () => null,
  };
}

export function streamRecordOf(
  stream: ServerHttp2Stream,
  about: StreamInFlight,
  connection: Connection,
  milliseconds: number,
  isAborted: boolean,
): AccessRecord {
  const sent: Readonly<Record<string, unknown>> = stream.sentHeaders ?? {};
  const length = Number(sent['content-length']);
  const received: Readonly<Record<string, unknown>> = about.request?.headers ?? about.headers;
  return {
    remote: remoteOf(connection),
    method: about.method,
    url: about.url,
    protocol: 'HTTP/2.0',
    status: Number(sent[':status'] ?? clientClosed),
    bytes: isAborted || !Number.isFinite(length) ? null : length,
    milliseconds,
    isAborted,
    requestHeader: (name) => headerText(received[name]),
    responseHeader: (name) => headerText(sent[name]),
  };
}

function protocolOf({ httpVersion }: IncomingMessage): string {
  return httpVersion === '1.1' ? 'HTTP/1.1' : `HTTP/${httpVersion}`;
}

function remoteOf({ raw }: Connection): string {
  const address = raw.remoteAddress;
  // A unix socket's peer has none; an IPv4 client of an IPv6 socket is known by its own.
  if (address === undefined) return '-';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** What Node added itself, or the app gave to writeHead(), is in the head alone. */
function headOf(response: ServerResponse, name: string): string | null {
  const lines = sentHead(response).split('\r\n').slice(1);
  const line = lines.find((each) => each.slice(0, name.length + 1).toLowerCase() === `${name}:`);
  return line === undefined ? null : line.slice(name.length + 1).trim();
}

function headerText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return Array.isArray(value) ? value.join(', ') : String(value as string | number);
}
