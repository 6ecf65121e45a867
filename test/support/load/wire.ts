/**
 * HTTP/1.1 on a bare socket, TLS or not: clients that open a connection, keep it as long as they may, and count what
 * happens to a request exactly. A request on a connection that ends before its answer has failed, be the connection new or
 * reused; one whose end the client has seen before it sends anything is replaced without a word, as everywhere.
 *
 * `Keep-Alive: timeout=5` is honoured with a margin, as Node's agent, undici and browsers do: whoever sends in the last
 * moment of it meets the server's end half way, whatever the server does.
 */
import net from 'node:net';
import tls from 'node:tls';
import { socketAddressOf, type Target } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { pause } from '../until.ts';
import { Client, classify, type Tagged, tagged } from './client.ts';
import type { Tally, Ticket } from './tally.ts';

/** Milliseconds before the end of a `Keep-Alive: timeout` after which a client does not send any more: undici's. */
const margin = 2_000;

interface Head {
  readonly status: number;
  /** Bytes of the body; `null` where only its end tells. */
  readonly length: number | 'chunked' | null;
  readonly isLast: boolean;
  /** Milliseconds that an idle connection is kept, as the server says; `null` where it says nothing. */
  readonly keptFor: number | null;
}

/** A request under way on a connection. */
interface Waiting {
  readonly ticket: Ticket;
  readonly call: Tagged;
  readonly done: (good: boolean) => void;
  readonly cancel: () => void;
}

/** One connection. Answers come in the order of the requests. */
class Connection {
  readonly #socket: net.Socket;
  readonly #tally: Tally;
  readonly #host: string;
  #buffer: Buffer = Buffer.alloc(0);
  #head: Head | null = null;
  readonly #waiting: Waiting[] = [];
  #isOver = false;
  /** When an idle connection is not to be used any more. */
  #usableUntil = Number.POSITIVE_INFINITY;
  #served: number | null = null;

  constructor(target: Target, tally: Tally) {
    const address = socketAddressOf(target);
    this.#host = 'port' in address ? `${address.host}:${address.port}` : 'localhost';
    this.#tally = tally;
    this.#socket =
      target.secure === true
        ? tls.connect({ ...address, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
        : net.connect({ ...address, noDelay: true });
    tally.connections++;
    let failure: NodeJS.ErrnoException | null = null;
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error;
    });
    this.#socket.on('end', () => this.#ended(cut('it was closed')));
    this.#socket.on('close', () => this.#ended(failure ?? cut('it was closed')));
  }

  /** Whether a request may be sent on it, as far as its client can know. */
  get isUsable(): boolean {
    return !this.#isOver && performance.now() < this.#usableUntil;
  }

  /** The request line and the rest of its head. */
  text(call: Tagged): string {
    return `GET ${call.path} HTTP/1.1\r\nHost: ${this.#host}\r\n\r\n`;
  }

  /** Waits for the answer to a request, which is written by {@link write}. Resolves to whether it was good. */
  expect(call: Tagged, ticket: Ticket, timeout: number): Promise<boolean> {
    return new Promise((done) => {
      const cancel = whenLate(timeout, () => this.#late(timeout));
      this.#waiting.push({ ticket, call, done, cancel });
      // It ended while its client was about to send.
      if (this.#isOver) this.#failAll(cut('it was closed'));
    });
  }

  write(text: string): void {
    if (!this.#isOver) this.#socket.write(text, 'latin1');
  }

  /** The client leaves. */
  close(): void {
    this.#isOver = true;
    this.#socket.end(() => this.#socket.destroy());
  }

  #take(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      if (this.#head === null) {
        const end = this.#buffer.indexOf('\r\n\r\n');
        if (end === -1) return;
        this.#head = readHead(this.#buffer.toString('latin1', 0, end));
        this.#buffer = this.#buffer.subarray(end + 4);
        if (this.#head !== null && this.#head.status < 200) {
          this.#head = null;
          continue;
        }
      }
      const head = this.#head;
      if (head === null || head.length === null) {
        this.#broken('other', 'an answer that is not understood');
        return;
      }
      const found = head.length === 'chunked' ? readChunks(this.#buffer) : readLength(this.#buffer, head.length);
      if (found === null) return;
      this.#buffer = found.rest;
      this.#head = null;
      this.#answered(head, found.body);
      if (this.#buffer.length === 0) return;
    }
  }

  #answered(head: Head, body: Buffer): void {
    const request = this.#waiting.shift();
    if (head.keptFor !== null)
      this.#usableUntil = performance.now() + Math.max(head.keptFor - margin, head.keptFor / 2);
    if (request === undefined) {
      // A 408 may come to a connection that is idle: the server says goodbye.
      this.close();
      return;
    }
    request.cancel();
    if (head.isLast) this.close();
    const who = head.status === 200 ? request.call.check(body) : null;
    if (who !== null) {
      this.#served = who.pid ?? null;
      this.#tally.answer(request.ticket, who);
      request.done(true);
    } else {
      const failure = head.status >= 500 ? 'http-5xx' : head.status === 200 ? 'wrong-body' : 'other';
      const text = `${head.status} ${body.toString('latin1').slice(0, 200)}`;
      this.#tally.fail(request.ticket, failure, `${request.call.path}: ${text}`);
      request.done(false);
    }
    if (head.isLast && this.#waiting.length > 0) {
      this.#failAll(cut('a response before it was the last'));
    }
  }

  #ended(error: NodeJS.ErrnoException): void {
    // A FIN and then a reset is one end.
    if (this.#isOver && this.#waiting.length === 0) return;
    this.#isOver = true;
    this.#socket.end();
    this.#failAll(error);
  }

  #failAll(error: NodeJS.ErrnoException): void {
    const gotBytes = this.#buffer.length > 0 || this.#head !== null;
    for (const [index, request] of this.#waiting.splice(0).entries()) {
      request.cancel();
      const where = this.#served === null ? '' : ` on a reused connection of worker ${this.#served}`;
      const detail = `${request.call.path}: ${error.code ?? ''} ${error.message}${where}`;
      this.#tally.fail(request.ticket, classify(error, gotBytes && index === 0), detail);
      request.done(false);
    }
  }

  #late(timeout: number): void {
    this.#broken('client-timeout', `${timeout} ms`);
  }

  #broken(failure: 'client-timeout' | 'other', detail: string): void {
    this.#isOver = true;
    for (const request of this.#waiting.splice(0)) {
      request.cancel();
      this.#tally.fail(request.ticket, failure, `${request.call.path}: ${detail}`);
      request.done(false);
    }
    this.#socket.destroy();
  }
}

/** An end that comes instead of an answer. */
function cut(message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

function readHead(text: string): Head | null {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
  if (status === undefined) return null;
  const field = (name: string): string | undefined => new RegExp(`\\r\\n${name}:[ \\t]*([^\\r]*)`, 'i').exec(text)?.[1];
  const length = field('content-length');
  const kept = /\btimeout=(\d+)/.exec(field('keep-alive') ?? '')?.[1];
  return {
    status: Number(status),
    length: lengthOf(status, length, field('transfer-encoding')),
    isLast: /\bclose\b/i.test(field('connection') ?? ''),
    keptFor: kept === undefined ? null : Number(kept) * 1_000,
  };
}

function lengthOf(status: string, length: string | undefined, encoding: string | undefined): Head['length'] {
  if (/\bchunked\b/i.test(encoding ?? '')) return 'chunked';
  if (length !== undefined) return Number(length);
  // Of a 408 and its like nothing counts but the status.
  return Number(status) >= 400 ? 0 : null;
}

interface Found {
  readonly body: Buffer;
  readonly rest: Buffer;
}

function readLength(buffer: Buffer, length: number): Found | null {
  return buffer.length < length ? null : { body: buffer.subarray(0, length), rest: buffer.subarray(length) };
}

/** RFC 9112, 7.1, for bodies so short that they may be read from the start each time. */
function readChunks(buffer: Buffer): Found | null {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = buffer.indexOf('\r\n', at);
    if (end === -1) return null;
    const size = Number.parseInt(buffer.toString('latin1', at, end), 16);
    const next = end + 2 + size + 2;
    if (buffer.length < next) return null;
    if (size === 0) return { body: Buffer.concat(chunks), rest: buffer.subarray(next) };
    chunks.push(buffer.subarray(end + 2, next - 2));
    at = next;
  }
}

/** What all clients on bare sockets share: one connection at a time. */
abstract class WireClient extends Client {
  #connection: Connection | null = null;

  /** The connection that is there, or a new one. */
  protected connection(): Connection {
    if (this.#connection?.isUsable === true) return this.#connection;
    this.#connection?.close();
    this.#connection = new Connection(this.target, this.tally);
    return this.#connection;
  }

  protected override async close(): Promise<void> {
    this.#connection?.close();
  }
}

/** One request after the other: closed loop, or with `think` as people do. */
export class WireKeepAliveClient extends WireClient {
  protected async once(): Promise<boolean> {
    const connection = this.connection();
    const call = tagged(this.options.path ?? '/pid');
    const answer = connection.expect(call, this.tally.begin(), this.timeout);
    connection.write(connection.text(call));
    return await answer;
  }
}

/** `count` requests in one write, each of which is counted; a budget of requests is one of writes. */
export class PipeliningClient extends WireClient {
  protected async once(): Promise<boolean> {
    const connection = this.connection();
    const calls = Array.from({ length: this.options.count ?? 4 }, () => tagged(this.options.path ?? '/pid'));
    const answers = calls.map((call) => connection.expect(call, this.tally.begin(), this.timeout));
    connection.write(calls.map((call) => connection.text(call)).join(''));
    return (await Promise.all(answers)).every((good) => good);
  }
}

/** Milliseconds between two pieces of a slow head. */
const pieceEvery = 80;

/** A head that arrives in `count` pieces, as over a bad line. */
export class SlowHeadClient extends WireClient {
  protected async once(): Promise<boolean> {
    const connection = this.connection();
    const call = tagged(this.options.path ?? '/pid');
    const answer = connection.expect(call, this.tally.begin(), this.timeout);
    const text = connection.text(call);
    const pieces = this.options.count ?? 4;
    const size = Math.ceil(text.length / pieces);
    for (let piece = 0; piece < pieces; piece++) {
      if (piece > 0) await pause(pieceEvery);
      connection.write(text.slice(piece * size, (piece + 1) * size));
    }
    return await answer;
  }
}
