/**
 * Server-sent events in a drain: responses that would go on for ever. They are ended in good order, after which clients
 * connect anew. An event stream may also be an answer that has an end, as of a language model, and that writes all the
 * time: such have until shortly before the deadline. Those that seem to have no end are ended early if somebody waits.
 */
import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { currentResponse, hasHttpParser, sentHead } from '../../system/node-internals.ts';
import { bytesWritten, type Connection, endSoon, type Wire } from '../traffic/connection.ts';
import { endlessUntil, type Plan } from './plan.ts';

/** Milliseconds without a byte written after which a stream is taken to wait for something to happen. */
const quietTime = 1_000;
/** Milliseconds after which a stream is taken to have no end, however much it writes. */
const oldAge = 120_000;
const lastChunk = '0\r\n\r\n';

interface Observed {
  /** When it is to be ended, 0 to 1: not all clients are to connect anew at once. */
  readonly luck: number;
  written: number;
  writtenAt: number;
}

export class EventStreams {
  readonly #observed = new WeakMap<Connection, Observed>();

  /** Ends what seems to have no end, if its time has come. */
  step(connection: Connection, plan: Plan, now: number): void {
    if (plan.awaitedSince === null) return;
    const seen = this.#observe(connection, now);
    const written = bytesWritten(connection.raw);
    if (written !== seen.written) {
      seen.written = written;
      seen.writtenAt = now;
    }
    const dueAt = endlessUntil(plan, seen.luck);
    if (dueAt === null || now < dueAt) return;
    const isQuiet = now >= seen.writtenAt + quietTime;
    if (isQuiet || isOld(connection, now)) endEventStreams(connection);
  }

  #observe(connection: Connection, now: number): Observed {
    const known = this.#observed.get(connection);
    if (known !== undefined) return known;
    const seen = { luck: Math.random(), written: bytesWritten(connection.raw), writtenAt: now };
    this.#observed.set(connection, seen);
    return seen;
  }
}

function isOld({ requestAt }: Connection, now: number): boolean {
  return requestAt > 0 && now >= requestAt + oldAge;
}

/** Ends every event stream on a connection. */
export function endEventStreams({ session, streams, socket }: Connection): void {
  if (session !== null) {
    for (const stream of streams?.keys() ?? []) if (isHttp2EventStream(stream)) endHttp2(stream);
    return;
  }
  if (socket.destroyed || !socket.writable || !hasHttpParser(socket)) return;
  const response = currentResponse(socket);
  if (response !== null && isEventStream(response)) endStream(response, socket);
}

function isEventStream(response: ServerResponse): boolean {
  return response.headersSent && /^content-type: *text\/event-stream/im.test(sentHead(response));
}

/** An orderly end, as far as the client can see. The app sees its client leave, as it must expect any time. */
function endStream(response: ServerResponse, socket: Wire): void {
  if (response.chunkedEncoding) socket.write(lastChunk);
  endSoon(socket);
}

function isHttp2EventStream(stream: ServerHttp2Stream): boolean {
  if (!stream.headersSent || stream.writableEnded || stream.destroyed) return false;
  return /^text\/event-stream/i.test(String(stream.sentHeaders['content-type'] ?? ''));
}

function endHttp2(stream: ServerHttp2Stream): void {
  // What the app writes to it from now on must not end the process.
  stream.on('error', () => {});
  stream.end();
}
